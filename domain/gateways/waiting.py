"""How long another system asks us to wait: seconds or a date, never negative, never for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(hours=6)
UNTOLD = timedelta(seconds=60)


def requested_wait(headers: Mapping[str, str], now: datetime) -> timedelta:
    """Read ``Retry-After`` (seconds or HTTP date), else ``X-RateLimit-Reset`` (ISO time), else a minute."""
    asked = _retry_after(headers.get("retry-after"), now)
    if asked is None:
        asked = _reset_at(headers.get("x-ratelimit-reset"), now)
    if asked is None:
        asked = UNTOLD
    return min(max(asked, SHORTEST), LONGEST)


def _retry_after(value: str | None, now: datetime) -> timedelta | None:
    if value is None:
        return None
    try:
        return timedelta(seconds=min(max(float(value), 0), LONGEST.total_seconds()))
    except ValueError:
        pass
    try:
        return _aware(parsedate_to_datetime(value)) - now
    except ValueError:
        return None


def _reset_at(value: str | None, now: datetime) -> timedelta | None:
    if value is None:
        return None
    try:
        return _aware(datetime.fromisoformat(value)) - now
    except ValueError:
        return None


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
