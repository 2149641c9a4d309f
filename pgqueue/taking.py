"""Take from a rate in code that is no job: a request handler, a script, another worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgqueue.db import run, run_async
from pgqueue.errors import ConfigurationError
from pgqueue.limit import checked_value
from pgqueue.queries.limits import Limits

if TYPE_CHECKING:
    from datetime import timedelta

    from pgqueue.db import AsyncTransaction, Query, SyncTransaction
    from pgqueue.limit import Rate


def take(
    conn: SyncTransaction, rate: Rate, value: object = None, *, weight: int = 1, schema: str = "pgqueue"
) -> timedelta:
    """Take ``weight`` units of a named rate; returns nothing (they are taken) or how long until they are there.

    It counts with the caller's transaction. As long as that is open, others wait who take from the same key, and jobs
    of that key are held: commit before the call that the rate is for.

    Args:
        conn: whatever `Queue.enqueue` takes; in autocommit it counts at once.
        rate: a `Rate` with a ``name``.
        value: whose, if the rate has a ``key``.
        weight: 1 to the rate's burst.
        schema: the schema of the queue's tables.

    Raises:
        ConfigurationError: a rate without name, a key without value, a weight that never fits.

    """
    return run(conn, _query(rate, value, weight, schema))


async def take_async(
    conn: AsyncTransaction, rate: Rate, value: object = None, *, weight: int = 1, schema: str = "pgqueue"
) -> timedelta:
    """Do the same, awaited."""
    return await run_async(conn, _query(rate, value, weight, schema))


def _query(rate: Rate, value: object, weight: int, schema: str) -> Query[timedelta]:
    if rate.name is None:
        raise ConfigurationError(f"{rate!r} has no name; give it one, so that jobs and other code can share it")
    if (rate.key is None) != (value is None):
        raise ConfigurationError(
            f"the rate {rate.name} "
            + (
                f"counts by {rate.key}; say whose: take(conn, rate, value)"
                if value is None
                else "has no key for a value"
            )
        )
    if type(weight) is not int or not 1 <= weight <= rate.burst:
        raise ConfigurationError(
            f"the weight is {weight!r}; give 1 to the burst of the rate {rate.name} ({rate.burst})"
        )
    key = f"rate:{rate.name}" + ("" if value is None else f"={checked_value(value, rate.name, 'the caller')}")
    return Limits(schema).take(key, rate.spec, weight)
