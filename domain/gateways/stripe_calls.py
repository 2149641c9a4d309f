"""Calls to Stripe through Stripe's library and our client: under a deadline, behind a breaker, failures translated."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import timedelta

    import httpx
    import stripe

    from domain.gateways.breakers import Breakers

PROVIDER = "stripe"


@dataclass(frozen=True, slots=True)
class StripeAccess:
    """Where Stripe is and what lets us in; never printed."""

    base_url: str
    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)

    @property
    def livemode(self) -> bool:
        """Whether the key is of the mode in which money moves."""
        return self.api_key.startswith(("sk_live_", "rk_live_"))


class StripeCalls:
    """Makes calls with the library's `client`. Every call ends within the deadline."""

    def __init__(
        self, http: httpx.AsyncClient, breakers: Breakers, access: StripeAccess, *, deadline: timedelta
    ) -> None:
        self._breakers = breakers
        self._deadline = deadline.total_seconds()
        self._host = urlsplit(access.base_url).netloc
        self._access, self._http = access, http

    @cached_property
    def client(self) -> stripe.StripeClient:
        """The library's client; 6 MB, for the processes that call Stripe."""
        from domain.gateways.stripe_library import client

        return client(self._access, self._http)

    async def read(self, call: Awaitable[Any]) -> Any:
        """Make a call that changes nothing."""
        return await self._call(call, mutation=False)

    async def write(self, call: Awaitable[Any]) -> Any:
        """Make a call that changes something: without an answer nobody knows."""
        return await self._call(call, mutation=True)

    async def _call(self, call: Awaitable[Any], *, mutation: bool) -> Any:
        from domain.gateways.stripe_library import Failure, lost, translated

        try:
            with self._breakers.calling(PROVIDER, self._host):
                try:
                    async with asyncio.timeout(self._deadline):
                        return await call
                except Failure as error:
                    raise translated(error, mutation=mutation) from error
                except TimeoutError as error:
                    raise lost("no answer in time", mutation=mutation) from error
        finally:
            if asyncio.iscoroutine(call):
                call.close()  # never begun when the circuit is open
