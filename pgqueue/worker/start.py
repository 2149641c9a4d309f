"""What a worker checks and opens before its first claim."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import structlog

from pgqueue.errors import DatabaseUnavailable, SchemaMismatch
from pgqueue.migrations import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from pgqueue.queries.upkeep import Upkeep
    from pgqueue.worker.link import Link
    from pgqueue.worker.runner import Kind

_LONGEST = 10.0


async def ready_database(link: Link, upkeep: Upkeep, stopping: asyncio.Event) -> None:
    """Wait for the database and check its schema.

    Raises:
        SchemaMismatch: missing, older or newer than this version, or set up so that jobs could be lost.

    """
    pause = 0.2
    while not stopping.is_set():
        try:
            await link.open()
            break
        except DatabaseUnavailable as error:
            structlog.get_logger("pgqueue").warning("database.unavailable", error=str(error), retryInSeconds=pause)
        try:
            async with asyncio.timeout(pause):
                await stopping.wait()
        except TimeoutError:
            pause = min(pause * 2, _LONGEST)
    else:
        return
    await check_schema(link, upkeep)


async def check_schema(link: Link, upkeep: Upkeep) -> None:
    """Raise SchemaMismatch unless this version can work on this database."""
    try:
        version, least_worker = await link.run(upkeep.stamp())
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, IndexError):  # the last: no stamp
        raise SchemaMismatch(
            "the queue's tables are missing in this database; create them with: pgqueue migrate"
        ) from None
    if version < VERSION:
        raise SchemaMismatch(
            f"the queue's tables are of version {version}, this package needs {VERSION}; run: pgqueue migrate"
        )
    if least_worker > VERSION:
        raise SchemaMismatch(
            f"the queue's tables are of version {version} and serve workers from {least_worker} on, this package is of "
            f"{VERSION}; install a newer pgqueue-jobs"
        )
    if name := (await link.run(upkeep.carried_as()))[0]:
        raise SchemaMismatch(
            f"this database is the source {name!r} of another queue, which carries its outbox away; "
            "run workers on that queue's database"
        )
    cache = await link.run(upkeep.sequence_cache())
    if cache != [1]:
        raise SchemaMismatch(f"the sequence job_ids has CACHE {cache}; jobs could be missed: ALTER SEQUENCE … CACHE 1")
    isolation, standby = await link.run(upkeep.surroundings())
    if isolation != "read committed":
        raise SchemaMismatch(
            f"default_transaction_isolation is {isolation!r} for this login; the worker needs read committed: "
            "ALTER ROLE … SET default_transaction_isolation = 'read committed'"
        )
    if standby:
        raise SchemaMismatch("the server is a read-only standby; add target_session_attrs=read-write to the URL")


async def open_handle(handle: Any, stack: AsyncExitStack) -> object:
    """Make what jobs get as ``app``: an object, or what a callable makes; context managers are entered."""
    made = (
        handle()
        if callable(handle) and not hasattr(handle, "__aenter__") and not hasattr(handle, "__enter__")
        else handle
    )
    if asyncio.iscoroutine(made):
        made = await made
    if hasattr(made, "__aenter__"):
        entered: object = await stack.enter_async_context(made)
        return entered
    if hasattr(made, "__enter__"):
        entered_sync: object = stack.enter_context(made)
        return entered_sync
    opened: object = made
    return opened


def parked_names(kinds: Mapping[str, Kind]) -> list[str]:
    """Return every ``kind@version`` that these classes can run."""
    return [f"{name}@{version}" for name, kind in sorted(kinds.items()) for version in range(1, kind.version + 1)]
