"""Idempotency beyond the queue: what was done once, and locks with a time to live."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pgqueue.db import Query
from pgqueue.sql import load

if TYPE_CHECKING:
    from datetime import timedelta

    from pgqueue.db import Rows


class Taken(NamedTuple):
    """What came of asking for a lock: its fence, or how long somebody may still hold it."""

    fence: int | None
    seconds_left: float | None


class Effects:
    """The blocks of ``effects.sql`` for one schema."""

    def __init__(self, schema: str = "pgqueue") -> None:
        """Load the chapter."""
        self._sql = load(schema).statements

    def once(self, organization_id: str, key: str, keep: timedelta) -> Query[bool]:
        """Write the key down; False: it stands there already."""
        return Query(self._sql["once"], bool, {"organization_id": organization_id, "key": key, "keep": keep})

    def acquire(self, name: str, ttl: timedelta) -> Query[Taken]:
        """Take a lock that is free or has expired."""
        return Query(self._sql["lock_acquire"], _taken, {"lock": name, "ttl": ttl})

    def extend(self, name: str, fence: int, ttl: timedelta) -> Query[bool]:
        """Let it live on from now; False: somebody else has it."""
        return Query(self._sql["lock_extend"], bool, {"lock": name, "fence": fence, "ttl": ttl})

    def release(self, name: str, fence: int) -> Query[bool]:
        """Give it back; False: somebody else has it, or an open transaction has asserted it."""
        return Query(self._sql["lock_release"], bool, {"lock": name, "fence": fence})

    def held(self, name: str, fence: int) -> Query[bool]:
        """Tell whether the lock is still this holder's, and keep it so until the transaction ends."""
        return Query(self._sql["lock_held"], bool, {"lock": name, "fence": fence})


def _taken(rows: Rows) -> Taken:
    return Taken._make(rows[0])
