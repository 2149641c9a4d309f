"""What happens to every request and answer: an id, a limit of size, headers, a log line, and no error that gets out."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request

from domain.http.problems import SERVER_ERROR, problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY: Final = 256 << 10
REQUEST_ID: Final = b"x-request-id"
_log: Final[Any] = structlog.get_logger("domain.http")

HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"cache-control", b"no-store"),
)


class Edge:
    """The outermost layer of ours. Its state is in the request: ``request_id``, ``most_bytes``."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        request.state.request_id, request.state.most_bytes = _id(scope), LARGEST_BODY
        began, status = time.monotonic(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(message, request.state.request_id)
            await send(message)

        try:
            await self.app(scope, _counted(request, receive), sending)
        except Exception as error:
            # as text: a renderer that shows local variables would show what clients sent
            trace = "".join(traceback.format_exception(error))
            _log.error("http.failed", exception=trace, **_about(request))
            if status:  # the answer has begun: all that is left is to cut it off
                raise
            answer = problem(request, SERVER_ERROR, "internal", "something went wrong on our side; we have a record")
            await answer(scope, receive, sending)
        milliseconds = round((time.monotonic() - began) * 1000)
        _log.info("http.request", status=status, duration_ms=milliseconds, **_about(request))


def _about(request: Request) -> dict[str, str]:
    # the route's pattern: addresses hold ids, and those of files a signature
    pattern = getattr(request.scope.get("route"), "path", "-")
    return {"method": request.method, "route": pattern, "correlationId": str(request.state.request_id)}


def _id(scope: Scope) -> UUID:
    """Take the client's id if it is a UUID, else make one."""
    given = dict(scope["headers"]).get(REQUEST_ID, b"")
    try:
        return UUID(given.decode("ascii"))
    except ValueError:
        return uuid4()


def _complete(message: Message, request_id: UUID) -> None:
    headers = list(message.get("headers", ()))
    present = {name.lower() for name, _ in headers}
    headers += [(name, value) for name, value in HEADERS if name not in present]
    message["headers"] = [*headers, (REQUEST_ID, str(request_id).encode())]


def _counted(request: Request, receive: Receive) -> Receive:
    """Refuse a body that is too long, by what it says or by what comes; None: the use case has its own limit."""
    seen = 0

    async def counting() -> Message:
        nonlocal seen
        most: int | None = request.state.most_bytes
        said = request.headers.get("content-length", "")
        if most is not None and said.isascii() and said.isdigit() and int(said) > most:
            raise HTTPException(413, f"the body has more than {most} bytes")
        message = await receive()
        seen += len(message.get("body", b""))
        if most is not None and seen > most:
            raise HTTPException(413, f"the body has more than {most} bytes")
        return message

    return counting
