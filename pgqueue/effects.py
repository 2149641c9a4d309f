"""Effects that must happen once: keys that are written down with them, and locks; verbs of `Queue` and `AsyncQueue`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pgqueue.context import Context, checked_key, required_context
from pgqueue.db import async_driver_connection, driver_connection, run, run_async
from pgqueue.duration import Duration, duration
from pgqueue.errors import TransactionUnusable
from pgqueue.lock import AsyncLock, Lock
from pgqueue.queries.effects import Effects
from pgqueue.states import state_check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import AsyncConnection, Connection

    from pgqueue.db import AsyncTransaction, Query, SyncTransaction
    from pgqueue.outcome import Discard
    from pgqueue.settings import Settings

_KEEP = timedelta(days=30)


class _Face:
    """What both faces share: everything but the I/O."""

    settings: Settings

    def _once(
        self, key: str, context: Context | None, keep: Duration, driver: Connection[Any] | AsyncConnection[Any]
    ) -> Query[bool]:
        _begun(driver, "once")
        settings = self.settings
        owner = required_context(context, settings.default_organization_id, settings.default_user_id)
        query = Effects(settings.schema_name).once
        return query(owner.organization_id, checked_key(key, "the key"), duration(keep, what="keep"))


class SyncEffects(_Face):
    """The verbs of `Queue`."""

    def once(self, conn: SyncTransaction, key: str, *, context: Context | None = None, keep: Duration = _KEEP) -> bool:
        """Return True the first time for this organization and key: do the effect then, in the same transaction.

        A concurrent transaction with the same key waits here until this one has ended: after its commit it gets False,
        after its rollback True. ``keep``: how long the key is remembered.
        """
        return run(conn, self._once(key, context, keep, driver_connection(conn)))

    def check_state(
        self, conn: SyncTransaction, table: str | type, key: Mapping[str, Any], **expected: Any
    ) -> Discard | None:
        """Return None if the row is in the expected state, and keep it so until the transaction ends.

            if done := queue.check_state(session, "posts", {"id": self.post_id}, status="scheduled"):
                return done

        Else return the outcome that says what was found. Whoever runs the job a second time waits here for the first.

        Args:
            conn: the transaction that changes the state.
            table: its name (``"blog.posts"``), or a mapped class.
            key: columns and values that name one row.
            expected: for each column its value, or a collection of values that will do.

        Raises:
            ConfigurationError: nothing is expected, or the key names more than one row.

        """
        _begun(driver_connection(conn), "check_state")
        return run(conn, state_check(table, key, expected))

    def lock(self, name: str, *, ttl: Duration, url: str | None = None) -> Lock:
        """Return a lock that lives for ``ttl``, on connections of its own; not acquired yet."""
        return Lock(self.settings, name, ttl, url)


class AsyncEffects(_Face):
    """The verbs of `AsyncQueue`."""

    async def once(
        self, conn: AsyncTransaction, key: str, *, context: Context | None = None, keep: Duration = _KEEP
    ) -> bool:
        """Return True the first time for this organization and key; see `Queue.once`."""
        return await run_async(conn, self._once(key, context, keep, await async_driver_connection(conn)))

    async def check_state(
        self, conn: AsyncTransaction, table: str | type, key: Mapping[str, Any], **expected: Any
    ) -> Discard | None:
        """Return None if the row is in the expected state, else the outcome; see `Queue.check_state`."""
        _begun(await async_driver_connection(conn), "check_state")
        return await run_async(conn, state_check(table, key, expected))

    def lock(self, name: str, *, ttl: Duration, url: str | None = None) -> AsyncLock:
        """Return a lock that lives for ``ttl``; see `Queue.lock`."""
        return AsyncLock(self.settings, name, ttl, url)


def _begun(driver: Connection[Any] | AsyncConnection[Any], verb: str) -> None:
    if driver.autocommit and driver.info.transaction_status == driver.info.transaction_status.IDLE:
        raise TransactionUnusable(f"{verb} belongs into the transaction of its effect: with conn.transaction(): …")
