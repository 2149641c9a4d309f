"""One HTTP call to a network: under a deadline, behind a breaker, its failures translated."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from domain.gateways.failures import (
    AuthExpired,
    GatewayError,
    Gone,
    NotAllowed,
    RateLimited,
    Rejected,
    Transient,
    UnknownOutcome,
)
from domain.gateways.waiting import requested_wait

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from domain.gateways.breakers import Breakers

Shape = TypeVar("Shape", bound=BaseModel)
_REFUSALS: dict[int, type[Rejected]] = {
    httpx.codes.NOT_FOUND: Gone,
    httpx.codes.GONE: Gone,
    httpx.codes.FORBIDDEN: NotAllowed,
}


class Caller:
    """Calls one provider's hosts."""

    def __init__(
        self,
        provider: str,
        http: httpx.AsyncClient,
        breakers: Breakers,
        *,
        deadline: timedelta,
        translate: Callable[[httpx.Response], GatewayError | None] = lambda _: None,
    ) -> None:
        """``translate`` knows the provider's own words for failures and returns None for all others."""
        self._provider = provider
        self._http = http
        self._breakers = breakers
        self._deadline = deadline.total_seconds()
        self._translate = translate

    async def __call__(self, method: str, url: str, *, reads: bool = False, **request: Any) -> httpx.Response:
        """Make the call. ``reads``: it changes nothing on the other side, whatever becomes of it."""
        reads = reads or method == "GET"
        with self._breakers.calling(self._provider, urlsplit(url).netloc):
            try:
                # httpx's timeouts count between two bytes; a server that drips could hold us for ever
                async with asyncio.timeout(self._deadline):
                    response = await self._http.request(method, url, **request)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                raise Transient(f"cannot connect: {error!r}", code="unreachable") from error
            except (httpx.HTTPError, TimeoutError) as error:
                raise lost(f"no answer: {error!r}", code="no_answer", reads=reads) from error
            if not response.is_success:
                raise self._translate(response) or refusal(response, reads=reads)
            return response


def read(shape: type[Shape], response: httpx.Response, what: str, failure: type[GatewayError] = Transient) -> Shape:
    """Read an answer. One that makes no sense may hold tokens all the same, so nothing of it is repeated."""
    try:
        return shape.model_validate_json(response.content)
    except ValidationError:
        raise failure(f"the answer is not {what}", code="bad_answer") from None


def lost(message: str, *, code: str, reads: bool, status: int | None = None) -> GatewayError:
    """Return what a missing answer means: nothing for a call that reads, doubt for one that writes."""
    return (Transient if reads else UnknownOutcome)(message, code=code, status=status)


def words(response: httpx.Response) -> str:
    """Return what the other side said, as PostgreSQL can store it."""
    return f"HTTP {response.status_code}: {response.text[:300]}".replace("\x00", "")


def refusal(response: httpx.Response, *, reads: bool) -> GatewayError:
    """Translate an answer that is no success by what HTTP says of it."""
    status = response.status_code
    said, code = words(response), f"http_{status}"
    limited = status == httpx.codes.TOO_MANY_REQUESTS or (
        status == httpx.codes.SERVICE_UNAVAILABLE and "retry-after" in response.headers
    )
    if limited:
        return RateLimited(said, code=code, wait=requested_wait(response.headers, datetime.now(UTC)), status=status)
    if status == httpx.codes.UNAUTHORIZED:
        return AuthExpired(said, code=code, status=status)
    if response.is_server_error or status == httpx.codes.REQUEST_TIMEOUT:
        return lost(said, code=code, reads=reads, status=status)
    return _REFUSALS.get(status, Rejected)(said, code=code, status=status)
