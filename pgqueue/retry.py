"""The retry policy of a kind of job: how often, and how long to wait in between.

Source: section "Retry e Backoff" of the job architecture document (docs/source).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pgqueue.duration import Duration, duration
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ATTEMPTS = 100
_DEFAULT_BACKOFF = ("60s", "300s", "900s")


class Retry:
    """At most ``max_attempts`` attempts, waiting ``backoff[n]`` after the n-th failure (the last one repeats).

    No jitter: the next attempt is due exactly that long after the failure, by the database's clock.
    """

    __slots__ = ("backoff", "max_attempts")

    def __init__(self, max_attempts: int = 3, backoff: Sequence[Duration] = _DEFAULT_BACKOFF) -> None:
        """Check the policy. Raises ConfigurationError for endless retry and for retry without backoff."""
        if type(max_attempts) is not int or not 1 <= max_attempts <= MOST_ATTEMPTS:
            raise ConfigurationError(
                f"max_attempts is {max_attempts!r}; give 1 to {MOST_ATTEMPTS} (a job must give up some day)"
            )
        if isinstance(backoff, (str, timedelta)):
            raise ConfigurationError(f'backoff is {backoff!r}; give a list, such as ["60s", "300s"]')
        waits = tuple(duration(wait, what="a backoff") for wait in backoff)
        if max_attempts > 1 and (not waits or min(waits) < timedelta(seconds=1)):
            raise ConfigurationError(
                "retry without backoff would hammer what just failed; "
                'give one wait of at least one second for each retry, such as backoff=["60s", "300s", "900s"]'
            )
        self.max_attempts = max_attempts
        self.backoff = waits

    def wait_after(self, attempt: int) -> timedelta:
        """Return the wait after the failure of ``attempt`` (1 is the first)."""
        return self.backoff[min(attempt, len(self.backoff)) - 1]

    def __repr__(self) -> str:
        """Show the policy as it would be written."""
        waits = ", ".join(f"{wait.total_seconds():g}s" for wait in self.backoff)
        return f"Retry(max_attempts={self.max_attempts}, backoff=[{waits}])"
