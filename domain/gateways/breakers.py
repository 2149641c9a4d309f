"""One circuit breaker per provider and host: an outage of one network does not cost calls to the others."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from pybreaker import CircuitBreaker, CircuitBreakerError

from domain.gateways.failures import AuthExpired, CircuitOpen, Duplicate, NotReady, RateLimited, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

# These answers prove that the other side works.
ANSWERS = (RateLimited, NotReady, Rejected, Duplicate, AuthExpired)


class Breakers:
    """The breakers of this process, made on first use."""

    def __init__(self, *, fail_max: int = 5, reset_after: timedelta = timedelta(seconds=30)) -> None:
        self._fail_max = fail_max
        self._reset_after = reset_after
        self._breakers: dict[tuple[str, str], CircuitBreaker] = {}

    def of(self, provider: str, host: str) -> CircuitBreaker:
        """Return the breaker of this provider and host."""
        key = (provider, host)
        if key not in self._breakers:
            self._breakers[key] = CircuitBreaker(
                fail_max=self._fail_max,
                reset_timeout=self._reset_after.total_seconds(),
                exclude=list(ANSWERS),
                name=f"{provider} {host}",
                # else the failure that opens the circuit would hide what failed
                throw_new_error_on_trip=False,
            )
        return self._breakers[key]

    @contextmanager
    def calling(self, provider: str, host: str) -> Iterator[None]:
        """Make one call inside this block; raises `CircuitOpen` instead when the circuit is open."""
        breaker = self.of(provider, host)
        try:
            with breaker.calling():
                yield
        except CircuitBreakerError as error:
            message = f"{provider} at {host} failed {self._fail_max} times in a row; nothing was sent"
            raise CircuitOpen(message, code="circuit_open", wait=self._reset_after) from error
