"""The database's clock, moved: for one transaction, or for a database that is made for one test."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psycopg

from pgqueue.db import driver_url, run
from pgqueue.duration import Duration, duration
from pgqueue.errors import ConfigurationError
from pgqueue.queries.testing import Testing

if TYPE_CHECKING:
    from pgqueue.testing.ground import Ground


class Shift:
    """How far a clock is ahead. It goes on from where it is put."""

    def __init__(self) -> None:
        """Begin with the true time."""
        self.by = timedelta()

    def further(self, by: Duration) -> timedelta:
        """Return the shift after ``by`` has passed."""
        return self.by + duration(by, what="the time that passes")

    def until(self, moment: datetime, now: datetime) -> timedelta:
        """Return the shift with which it is ``moment``."""
        if moment.tzinfo is None:
            raise ConfigurationError(f"{moment!r} has no time zone; give an aware datetime")
        return self.by + (moment - now)


class TransactionClock(Shift):
    """Moves the clock in the test's transaction: for nobody else, and only until it ends."""

    def __init__(self, ground: Ground, schema: str) -> None:
        """Send nothing yet."""
        super().__init__()
        self._ground = ground
        self._testing = Testing(schema)

    async def now(self) -> datetime:
        """Return the database's time, as the queue sees it."""
        return await self._ground.run(self._testing.now())

    async def put(self, by: timedelta) -> None:
        """Put the clock ahead by so much of the true time."""
        if self.by == timedelta():
            await self._ground.run(self._testing.clock())
        await self._ground.run(self._testing.shift(by))
        self.by = by


class DatabaseClock(Shift):
    """Moves the clock of a whole database; refused for one that was not made for a test (`pgqueue_test_…`)."""

    def __init__(self, url: str, schema: str = "pgqueue") -> None:
        """Send nothing yet."""
        super().__init__()
        self._url = driver_url(url)
        self._testing = Testing(schema)

    def now(self) -> datetime:
        """Return the database's time, as the queue sees it."""
        with psycopg.connect(self._url) as conn:
            return run(conn, self._testing.now())

    def advance(self, by: Duration) -> None:
        """Let so much time pass."""
        self._put(self.further(by))

    def at(self, moment: datetime) -> None:
        """Make it this moment; the clock goes on from there."""
        self._put(self.until(moment, self.now()))

    def _put(self, by: timedelta) -> None:
        try:
            with psycopg.connect(self._url) as conn:
                run(conn, self._testing.shift(by))
                run(conn, self._testing.database_clock())
        except psycopg.errors.RaiseException as error:
            raise ConfigurationError(f"{error.diag.message_primary}; use the fixture pgqueue_database") from None
        self.by = by
