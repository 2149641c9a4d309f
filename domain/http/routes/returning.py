"""The page to which networks send browsers back."""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from domain.http.browsers import browser_of
from domain.http.requests import App, Nobody
from domain.use_cases.accounts.connecting import NotConnected
from domain.use_cases.accounts.returning import Welcome
from domain.use_cases.administration.operators import Forbidden, UnknownSubject
from domain.use_cases.billing.limits import PlanLimit
from domain.use_cases.templates import page

router = APIRouter(tags=["accounts"])

STYLE: Final = (
    "body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f4f4f1;color:#1c1c1a;"
    "font:17px/1.5 system-ui,sans-serif}main{max-width:26rem;margin:1.5rem;padding:2rem 2.25rem;background:#fff;"
    "border:1px solid #dededa;border-radius:12px}h1{margin:0 0 .75rem;font-size:1.35rem;line-height:1.3}"
    "p{margin:.5rem 0 0}.mark{display:grid;place-items:center;width:3rem;height:3rem;margin-bottom:1.25rem;"
    "border-radius:50%;background:#1f7a4d;color:#fff;font-size:1.5rem}.no{background:#b3261e}.small{color:#5c5c57;"
    "font-size:.95rem}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
}
_NAMES: Final = {"mastodon": "Mastodon", "instagram": "Instagram", "linkedin": "LinkedIn"}
_PAGE: Final = {"content": {"text/html": {"schema": {"type": "string"}}}}


@router.get(
    "/accounts/callback",
    response_class=HTMLResponse,
    responses={
        200: {"description": "The account is connected.", **_PAGE},
        403: {"description": "The user's role does not allow it any more.", **_PAGE},
        409: {"description": "The plan does not allow one more.", **_PAGE},
        422: {"description": "The account is not connected; the page says why.", **_PAGE},
    },
)
async def return_to_us(
    app: App,
    nobody: Nobody,
    request: Request,
    *,
    state: Annotated[str, Query(max_length=500)] = "",
    code: Annotated[str | None, Query(max_length=2000)] = None,
    error: Annotated[str | None, Query(max_length=500)] = None,
) -> HTMLResponse:
    """Connect the account for whoever began it in this browser, and say so on a page."""
    language = request.headers.get("Accept-Language", "")
    try:
        welcome = await app.accounts.finish_in_browser(
            nobody,
            state=state,
            browser=browser_of(request, secure=app.accounts.over_tls),
            code=code or None,
            error=error,
        )
    except NotConnected as failure:
        return _html(language, 422, reason=failure.code)
    except PlanLimit:
        return _html(language, 409, reason="plan")
    except (Forbidden, UnknownSubject):
        return _html(language, 403, reason="role")
    return _html(language, 200, welcome=welcome)


def _html(language: str, status: int, *, welcome: Welcome | None = None, reason: str | None = None) -> HTMLResponse:
    content = page(language, "connected", style=STYLE, names=_NAMES, welcome=welcome, reason=reason)
    return HTMLResponse(content, status, headers=HEADERS)
