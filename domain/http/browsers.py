"""A browser that sets out to a network is known again when it comes back, by a cookie that says nothing else."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_BYTES = 32
_LASTS = 3600  # seconds; what goes with it lasts less


def browser_of(request: Request, *, secure: bool) -> str | None:
    """Return the name that a browser got from us."""
    return request.cookies.get(_cookie(secure=secure))


def known_browser(request: Request, response: Response, *, secure: bool) -> str:
    """Return a browser's name and let it keep that: it may be on its way to several networks at once."""
    name = browser_of(request, secure=secure)
    if name is None or len(name) != len(secrets.token_urlsafe(_BYTES)):
        name = secrets.token_urlsafe(_BYTES)
    # no script needs it; "lax" lets it come along when a network's page leads back here
    response.set_cookie(_cookie(secure=secure), name, max_age=_LASTS, httponly=True, samesite="lax", secure=secure)
    return name


def _cookie(*, secure: bool) -> str:
    # with this prefix no other host of the domain can plant one
    return "__Host-smm-browser" if secure else "smm-browser"
