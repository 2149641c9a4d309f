"""One circuit breaker per provider and host, shared by all workers: an outage of one costs no calls to others."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pgqueue
from domain.gateways.failures import AuthExpired, CircuitOpen, Duplicate, NotReady, RateLimited, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue import Settings

# These answers prove that the other side works.
ANSWERS = (RateLimited, NotReady, Rejected, Duplicate, AuthExpired)


class Breakers:
    """The breakers of the gateways, made on first use."""

    def __init__(
        self, settings: Settings, *, fail_max: int = 5, reset_after: timedelta = timedelta(seconds=30)
    ) -> None:
        self._breakers = pgqueue.Breakers(settings, fail_max=fail_max, reset_timeout=reset_after, exclude=ANSWERS)

    @contextmanager
    def calling(self, provider: str, host: str) -> Iterator[None]:
        """Make one call inside this block; raises `CircuitOpen` instead when the circuit is open."""
        try:
            with self._breakers.calling(provider, host):
                yield
        except pgqueue.CircuitOpen as error:
            raise CircuitOpen(str(error), code="circuit_open", wait=error.retry_in) from error

    def close(self) -> None:
        """Close the connection through which the state is shared."""
        self._breakers.close()
