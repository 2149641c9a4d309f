"""Every error of the queue. Each message says what happened and what to do next.

PgqueueError
├── ConfigurationError     settings, App, job classes: found at start, all faults at once
│   ├── InvalidSettings    what file, environment, code and flags say cannot work; names every fault
│   ├── UnknownQueue       a queue that the App does not name
│   ├── UnknownKind        a kind that the App does not name
│   └── UnknownSchedule    a schedule that is neither in the code nor was added
├── InvalidJob             the job cannot be enqueued as it is (arguments, times, size)
│   ├── MissingContext     no organization or user
│   └── SecretInArguments  arguments that look like secrets
├── TransactionUnusable    the caller's connection is closed, failed or of an unknown type
├── DatabaseUnavailable    no connection
├── SchemaMismatch         the queue's tables are missing, older or newer than this version
├── LeaseLost              the job was given to another worker; nothing was changed
├── LockTaken              somebody holds the lock; try later
├── LockLost               the lock has expired or was taken over
├── JobTimeout             the job ran longer than its timeout
├── CircuitOpen            a dependency failed so often that nothing is sent to it for a while
├── EmbeddedMissing        the extra "embedded" is not installed
└── EmbeddedFailed         the embedded PostgreSQL did not start
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class PgqueueError(Exception):
    """The root of all errors that this package raises on purpose."""


class ConfigurationError(PgqueueError):
    """Settings, an App or a job class that cannot work."""


class InvalidSettings(ConfigurationError):
    """Settings that cannot work; ``faults`` has a sentence for each."""

    def __init__(self, faults: Sequence[str]) -> None:
        """Put all faults into one message."""
        super().__init__(f"{len(faults)} fault(s) in the settings: " + "; ".join(faults))
        self.faults = tuple(faults)


class UnknownQueue(ConfigurationError):
    """A queue that nobody declared."""


class UnknownKind(ConfigurationError):
    """A kind of job that the App does not list."""


class UnknownSchedule(ConfigurationError):
    """A schedule that there is not."""


class InvalidJob(PgqueueError):
    """A job that cannot be enqueued as it is."""


class MissingContext(InvalidJob):
    """A job without organization or user could neither be traced nor isolated."""


class SecretInArguments(InvalidJob):
    """Arguments are stored, listed and logged; a secret must be stored elsewhere and referred to."""


class TransactionUnusable(PgqueueError):
    """The transaction that was given cannot take a job."""


class DatabaseUnavailable(PgqueueError):
    """The database cannot be reached."""


class SchemaMismatch(PgqueueError):
    """The queue's schema is missing, or does not fit this version."""


class LeaseLost(PgqueueError):
    """The job is no longer held by its worker; nothing was written."""


class LockTaken(PgqueueError):
    """Somebody else holds the lock."""

    def __init__(self, message: str, *, retry_after: timedelta) -> None:
        """``retry_after``: when it expires, unless its holder extends it."""
        super().__init__(message)
        self.retry_after = retry_after


class LockLost(PgqueueError):
    """The lock has expired or was taken over; what it guarded must not be committed."""


class JobTimeout(PgqueueError):
    """The job ran longer than its timeout."""


class CircuitOpen(PgqueueError):
    """The dependency's circuit is open: nothing was sent. A job that raises this is snoozed, no attempt is spent."""

    def __init__(
        self, message: str, *, retry_in: timedelta = timedelta(seconds=15), breaker: tuple[str, str] = ("", "")
    ) -> None:
        """Say when to try again, and which breaker (dependency, host)."""
        super().__init__(message)
        self.retry_in = retry_in
        self.breaker = breaker


class EmbeddedMissing(PgqueueError):
    """The binaries of the embedded PostgreSQL are not installed."""


class EmbeddedFailed(PgqueueError):
    """The embedded PostgreSQL did not start or stop as it should."""
