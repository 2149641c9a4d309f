"""The page to which networks send browsers back."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from domain.http.browsers import browser_of
from domain.http.pages import PAGE, html
from domain.http.requests import App, Nobody
from domain.use_cases.accounts.connecting import NotConnected
from domain.use_cases.administration.operators import Forbidden, UnknownSubject
from domain.use_cases.billing.limits import PlanLimit

router = APIRouter(tags=["accounts"])

_NAMES: Final = {"mastodon": "Mastodon", "instagram": "Instagram", "linkedin": "LinkedIn"}


@router.get(
    "/accounts/callback",
    response_class=HTMLResponse,
    responses={
        200: {"description": "The account is connected.", **PAGE},
        403: {"description": "The user's role does not allow it any more.", **PAGE},
        409: {"description": "The plan does not allow one more.", **PAGE},
        422: {"description": "The account is not connected; the page says why.", **PAGE},
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
    try:
        welcome = await app.accounts.finish_in_browser(
            nobody,
            state=state,
            browser=browser_of(request, secure=app.accounts.over_tls),
            code=code or None,
            error=error,
        )
    except NotConnected as failure:
        return _refusal(request, 422, failure.code)
    except PlanLimit:
        return _refusal(request, 409, "plan")
    except (Forbidden, UnknownSubject):
        return _refusal(request, 403, "role")
    return html(request, "connected", good=True, names=_NAMES, welcome=welcome)


def _refusal(request: Request, status: int, reason: str) -> HTMLResponse:
    return html(request, "connected", status, good=False, welcome=None, reason=reason)
