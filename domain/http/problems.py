"""Errors as RFC 9457 problems: the one place that knows which exception is which status. Nothing internal is told."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final, cast

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from domain.gateways.failures import AuthExpired, GatewayError, Postponed, Rejected
from domain.gateways.stripe import Forged
from domain.gateways.webhooks import NotAnEndpoint
from domain.models import IllegalTransition
from domain.use_cases.accounts.connecting import NotConnected
from domain.use_cases.administration.leaving import SoleOwner
from domain.use_cases.administration.operators import Forbidden, UnknownSubject
from domain.use_cases.billing.limits import PlanLimit
from domain.use_cases.billing.paying import NotForSale
from domain.use_cases.choosing import InvalidPreference
from domain.use_cases.identity.addresses import InvalidAddress
from domain.use_cases.identity.links import InvalidLink, TooManyRequests
from domain.use_cases.identity.passwords import InvalidPassword
from domain.use_cases.identity.sessions import NotSignedIn, TooManySignIns, WrongCredentials
from domain.use_cases.integration.endpoints import InvalidEndpoint, UnknownEndpoint
from domain.use_cases.integration.reports import InvalidReport, NoSuchReport, ReportRunning
from domain.use_cases.media.inspecting import RefusedType
from domain.use_cases.media.uploading import InvalidUpload
from domain.use_cases.organizations.founding import InvalidOrganization
from domain.use_cases.organizations.invitations import AlreadyAMember
from domain.use_cases.organizations.members import LastOwner
from domain.use_cases.reading.pages import InvalidCursor, NotFound
from domain.use_cases.repeating import KeyInUse, KeyReused
from domain.use_cases.retrying import UnknownPublication
from domain.use_cases.scheduling import InvalidPost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fastapi import FastAPI
    from starlette.requests import Request

MEDIA_TYPE: Final = "application/problem+json"
SERVER_ERROR: Final = 500
METHOD_NOT_ALLOWED: Final = 405
_HOUR = "3600"

TABLE: Final[Mapping[type[Exception], tuple[int, str]]] = {
    Forged: (400, "forged"),
    NotSignedIn: (401, "not-signed-in"),
    WrongCredentials: (401, "wrong-credentials"),
    Forbidden: (403, "forbidden"),
    NotFound: (404, "not-found"),
    UnknownSubject: (404, "not-found"),
    UnknownPublication: (404, "not-found"),
    UnknownEndpoint: (404, "not-found"),
    NoSuchReport: (404, "not-found"),
    IllegalTransition: (409, "wrong-state"),
    SoleOwner: (409, "sole-owner"),
    LastOwner: (409, "last-owner"),
    AlreadyAMember: (409, "already-a-member"),
    PlanLimit: (409, "plan-limit"),
    NotForSale: (409, "not-for-sale"),
    ReportRunning: (409, "report-running"),
    KeyInUse: (409, "idempotency-key-in-use"),
    RefusedType: (415, "file-type"),
    KeyReused: (422, "idempotency-key-reused"),
    InvalidCursor: (422, "invalid-cursor"),
    InvalidOrganization: (422, "invalid-organization"),
    InvalidPost: (422, "invalid-post"),
    InvalidUpload: (422, "invalid-upload"),
    InvalidEndpoint: (422, "invalid-endpoint"),
    NotConnected: (422, "not-connected"),
    NotAnEndpoint: (422, "invalid-endpoint"),
    InvalidReport: (422, "invalid-report"),
    InvalidAddress: (422, "invalid-address"),
    InvalidPreference: (422, "invalid-preference"),
    InvalidPassword: (422, "invalid-password"),
    InvalidLink: (422, "invalid-link"),
    TooManyRequests: (429, "too-many-requests"),
    TooManySignIns: (429, "too-many-requests"),
    Postponed: (503, "later"),
    Rejected: (502, "refused-elsewhere"),
    AuthExpired: (502, "refused-elsewhere"),
    GatewayError: (502, "failed-elsewhere"),
}
"""Every exception of a use case that a client can cause or has to know of. What is not here is a bug: 500."""
_TITLES = {
    400: "Bad request",
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Not now, or not twice",
    413: "Too large",
    415: "This type is not taken",
    422: "Not valid",
    429: "Too often",
    500: "Our mistake",
    502: "Another system failed",
    503: "Later",
}


class Refused(Exception):
    """What a controller itself refuses."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code = status, code


class Fault(BaseModel):
    """One thing that is not valid."""

    where: str = Field(description="`body`, `query`, `path` or `header`, then the way to the value.")
    message: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="A URI for this kind of problem; stable.", examples=["urn:smm:problem:not-found"])
    title: str
    status: int
    detail: str
    request_id: str = Field(description="The same as in the header X-Request-Id; give it when you ask for help.")
    errors: list[Fault] = Field(default_factory=list)
    reason: str | None = Field(default=None, description="Of `not-connected`: why, in a word.")


# An answer that says that nothing was done: a key that came with the request can be used again.
REFUSALS: Final = (
    Refused,
    RequestValidationError,
    HTTPException,
    *(kind for kind, (status, _) in TABLE.items() if status < SERVER_ERROR),
)


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[Fault] = (),
    reason: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make the answer."""
    content = Problem(
        type=f"urn:smm:problem:{code}",
        title=_TITLES.get(status, "Problem"),
        status=status,
        detail=detail,
        request_id=str(request.state.request_id),
        errors=list(errors),
        reason=reason,
    )
    # escaped: a detail may quote what a client sent, and not all of that can be encoded
    body = json.dumps(content.model_dump()).encode()
    return Response(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI, methods_of: Callable[[str], Sequence[str]]) -> None:
    """Let every error that leaves a route become a problem. ``methods_of`` a path are those that it takes."""

    def method_not_allowed(request: Request, _: Exception) -> Response:
        # the framework names those of the first route that fits, and a path has several
        allowed = ", ".join(methods_of(request.url.path))
        detail = f"this takes {allowed}, not {request.method}"
        return problem(request, METHOD_NOT_ALLOWED, "method", detail, headers={"Allow": allowed})

    for kind in TABLE:
        app.add_exception_handler(kind, _known)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_the_framework)
    app.add_exception_handler(METHOD_NOT_ALLOWED, method_not_allowed)


def _known(request: Request, error: Exception) -> Response:
    status, code = next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)
    headers = {}
    if status == 401:  # noqa: PLR2004 - it has to say how
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Postponed | TooManySignIns):
        headers["Retry-After"] = str(max(1, math.ceil(error.wait.total_seconds())))
    elif isinstance(error, TooManyRequests):
        headers["Retry-After"] = _HOUR
    detail = "another system does not work at the moment" if isinstance(error, GatewayError) else str(error)
    reason = error.code if isinstance(error, NotConnected) else None
    return problem(request, status, code, detail, reason=reason, headers=headers)


def _refused(request: Request, error: Exception) -> Response:
    refused = cast("Refused", error)
    return problem(request, refused.status, refused.code, str(refused))


def _invalid(request: Request, error: Exception) -> Response:
    found = cast("RequestValidationError", error).errors()
    faults = [Fault(where="/".join(map(str, each["loc"])), message=each["msg"]) for each in found]
    return problem(request, 422, "invalid", "some of what was sent is not valid; see errors", errors=faults)


def _of_the_framework(request: Request, error: Exception) -> Response:
    known = cast("HTTPException", error)
    code = {404: "no-such-path", 413: "too-large"}.get(known.status_code, "bad-request")
    return problem(request, known.status_code, code, str(known.detail), headers=known.headers)
