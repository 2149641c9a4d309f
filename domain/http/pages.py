"""Pages for browsers: their one look, headers that forbid them all they do not need, and what their forms send."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse

from domain.use_cases.templates import page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

STYLE: Final = (
    "body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f4f4f1;color:#1c1c1a;"
    "font:17px/1.5 system-ui,sans-serif}main{max-width:26rem;margin:1.5rem;padding:2rem 2.25rem;background:#fff;"
    "border:1px solid #dededa;border-radius:12px}h1{margin:0 0 .75rem;font-size:1.35rem;line-height:1.3}"
    "p{margin:.5rem 0 0}.mark{display:grid;place-items:center;width:3rem;height:3rem;margin-bottom:1.25rem;"
    "border-radius:50%;background:#1f7a4d;color:#fff;font-size:1.5rem}.no{background:#b3261e}.small{color:#5c5c57;"
    "font-size:.95rem}.fault{color:#b3261e}form{display:grid;gap:.9rem;margin:1.25rem 0}label{display:grid;gap:.25rem;"
    "font-size:.95rem}input,button{padding:.65rem .8rem;border:1px solid #8a8a84;border-radius:8px;font:inherit}"
    "button{border-color:#1f7a4d;background:#1f7a4d;color:#fff;font-weight:600;cursor:pointer}"
    ".quiet{background:#fff;color:#1f7a4d}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; frame-ancestors 'none'; form-action "
)
_MOST_FIELDS: Final = 10

PAGE: Final = {"content": {"text/html": {"schema": {"type": "string"}}}}


def html(
    request: Request,
    template: str,
    status: int = 200,
    *,
    good: bool | None,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> HTMLResponse:
    """Answer with a page in the browser's language. ``good`` None: it asks for something, with a form."""
    content = page(request.headers.get("Accept-Language", ""), template, style=STYLE, good=good, **values)
    policy = {"Content-Security-Policy": _POLICY + ("'self'" if good is None else "'none'")}
    return HTMLResponse(content, status, headers={**policy, **(headers or {})})


def form(*names: str) -> dict[str, Any]:
    """Describe the fields of a form, for the description of the API."""
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": [*names]}
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


async def fields(request: Request, *names: str) -> list[str]:
    """Return what a form has in its fields; "" for what it has not."""
    try:
        sent = dict(parse_qsl((await request.body()).decode(errors="replace"), max_num_fields=_MOST_FIELDS))
    except ValueError:
        sent = {}
    return [sent.get(name, "") for name in names]
