"""What a worker checks and opens before its first claim, and what it gives back at its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any

import psycopg
import structlog

from pgqueue.errors import DatabaseUnavailable, SchemaMismatch
from pgqueue.migrations import VERSION
from pgqueue.outcome import give_back
from pgqueue.queries.upkeep import Registration
from pgqueue.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from pgqueue.queries.upkeep import Upkeep
    from pgqueue.worker.link import Link
    from pgqueue.worker.process import Worker
    from pgqueue.worker.runner import Kind

_LONGEST = 10.0
_LEAVING = 5.0  # seconds that giving the rest back may take


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


async def register(worker: Worker) -> None:
    """Make the worker and its queues known, and free the jobs that waited for somebody who knows its kinds."""
    link, upkeep = worker.links[2], worker.upkeep
    row = registration(worker)
    await link.run(upkeep.add_queues(list(worker.settings.queues)))
    await link.run(upkeep.set_orders({name: queue.order for name, queue in worker.settings.queues.items()}))
    await link.run(upkeep.register(row))
    await link.run(upkeep.unpark([f"kind:{kind}" for kind in row.kinds]))


def registration(worker: Worker) -> Registration:
    """Return the worker's row as it is now."""
    slots, kinds = worker.slots, parked_names(worker.runner.kinds)
    return Registration(worker.id, socket.gethostname(), os.getpid(), __version__, slots.served, kinds, slots.size)


async def leave(worker: Worker) -> None:
    """Give back what is still held, claimed in the last message or run by a job that does not end; say good-bye."""
    link, upkeep, pump = worker.links[2], worker.upkeep, worker.pump
    for claimed in worker.slots.drain():
        pump.add(give_back(claimed))
    pump.give_back_held()
    with contextlib.suppress(TimeoutError):  # a row that somebody keeps locked must not keep the process
        async with asyncio.timeout(_LEAVING):
            while pump.pending:
                await pump.tick()
    for role, token in (("relay", worker.relay.token), ("upkeep", worker.keeper.token), *worker.carriers.turns):
        if token is not None:
            await link.run(upkeep.leave_turn(role, token))
    await link.run(upkeep.deregister(worker.id))


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
