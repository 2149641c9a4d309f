"""Routes that take an ``Idempotency-Key``: a repeat is answered as the first request was, and does nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final
from uuid import UUID

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from domain.http.problems import REFUSALS, Refused
from domain.http.requests import SAFE, Right, application, caller_of, context_in
from domain.use_cases.repeating import Answer, Repeatable

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
PATTERN: Final = "^[!-~]{1,255}$"
_KEPT_HEADERS = ("content-type", "location")


class KeyedRoute(APIRoute):
    """A write into our database alone: it and its answer are committed together."""

    outside: ClassVar[bool] = False
    """It calls the outside world, so no transaction can be open meanwhile."""
    refusals: ClassVar[tuple[type[Exception], ...]] = REFUSALS
    """Errors after which the key can be used again."""
    reads_body: ClassVar[bool] = True
    """Its body is part of what a repeat has to have the same; not so for a file."""

    @property
    def keyed(self) -> bool:
        """Whether this route takes a key."""
        return not (self.methods or set()) <= SAFE

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap what FastAPI makes of the route."""
        handle = super().get_route_handler()
        if not self.keyed:
            return handle

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None:
                return await handle(request)
            if not re.fullmatch(PATTERN, key):
                raise Refused(422, "invalid", f"{HEADER} takes 1 to 255 printable ASCII characters without spaces")
            return await self._once(request, key, handle)

        return once

    async def _once(
        self, request: Request, key: str, handle: Callable[[Request], Coroutine[Any, Any, Response]]
    ) -> Response:
        context = (await caller_of(request)).context
        if "organization_id" in request.path_params:
            context, _ = await context_in(request, _uuid(request.path_params["organization_id"]), Right.VIEW)
        repeatable = Repeatable(key, f"{request.method} {self.path_format}", await self._content(request))

        async def work() -> Answer:
            response = await handle(request)
            kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
            return Answer(response.status_code, kept, bytes(response.body))

        once = application(request).once
        if self.outside:
            answer = await once.outside(context, repeatable, work, refusals=self.refusals)
        else:
            answer = await once(context, repeatable, work)
        headers = dict(answer.headers) | ({REPLAYED: "true"} if answer.repeated else {})
        return Response(answer.body, answer.status, headers=headers)

    async def _content(self, request: Request) -> bytes:
        names = ("content-type",) if self.reads_body else ("content-type", "content-length")
        said = [request.url.path, request.url.query, *(request.headers.get(name, "") for name in names)]
        body = await request.body() if self.reads_body else b""
        return "\n".join(said).encode() + b"\n" + body


class KeyedOutsideRoute(KeyedRoute):
    """A write that also calls another system."""

    outside = True


class KeyedAgainRoute(KeyedOutsideRoute):
    """A write that also calls another system, which knows a repeat by itself: after any error it may come again."""

    refusals = (Exception,)


class KeyedUploadRoute(KeyedOutsideRoute):
    """A file that is streamed to the store."""

    reads_body = False


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Refused(422, "invalid", "organization_id is no UUID") from error
