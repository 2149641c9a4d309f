"""When a job is due: at a time with a zone, or a while from now; never both."""

from __future__ import annotations

import datetime as dt

from pgqueue.duration import Duration, duration
from pgqueue.errors import InvalidJob

Due = tuple[dt.datetime | None, dt.timedelta | None]
_EARLIEST, _LATEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(9998, 12, 31, tzinfo=dt.UTC)


def due(run_at: dt.datetime | None, delay: Duration | None) -> Due:
    """Check a time or a delay. Raises InvalidJob: both, a time without zone, or one that no job may have."""
    if run_at is None:
        return None, None if delay is None else _delay(delay)
    if delay is not None:
        raise InvalidJob("run_at and delay were both given; give one of them")
    if getattr(run_at, "tzinfo", None) is None or run_at.utcoffset() is None:
        raise InvalidJob(
            f"run_at is {run_at!r}, a time without zone; say which: datetime.now(UTC) or .replace(tzinfo=ZoneInfo(…))"
        )
    if not _EARLIEST <= run_at <= _LATEST:
        raise InvalidJob(f"run_at is {run_at.isoformat()}; it must lie between the years 2000 and 9998")
    return run_at, None


def _delay(delay: Duration) -> dt.timedelta:
    try:
        return duration(delay, what="delay")
    except Exception as error:
        raise InvalidJob(str(error)) from error
