"""What recurs: a `Schedule` says which job, when, and what becomes of runs that were missed.

The code's entries are given to the App; `Schedules` and `AsyncSchedules` add and steer entries at run time.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args
from uuid import UUID

from pgqueue.context import Context, checked_note
from pgqueue.db import run, run_async
from pgqueue.duration import duration
from pgqueue.errors import ConfigurationError, MissingContext, PgqueueError, UnknownSchedule
from pgqueue.job import Job, checked_job
from pgqueue.queries.schedules import Recurrence
from pgqueue.retry import Retry
from pgqueue.timing import timing, zone

if TYPE_CHECKING:
    from pgqueue.db import AsyncTransaction, SyncTransaction
    from pgqueue.duration import Duration
    from pgqueue.queries.schedules import ScheduleRow
    from pgqueue.queue import AsyncQueue, Queue

Missed = Literal["skip", "once", "all"]
Entry = dict[str, Any]
"""An entry as the columns of its row."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,62}")
_MOST = 1000
_LONGEST_JITTER = timedelta(days=1)
_NO_TRACE = UUID(int=0)
# What has a column of its own, or is made anew at each tick; the rest of an outbox row stands in `options`.
_COLUMNS = {"queue", "kind", "organization_id", "user_id", "args", "payload_version", "max_attempts"}
_MADE_ANEW = {"run_at", "delay", "correlation_id", "trace_id"}


@dataclass(frozen=True, slots=True)
class Schedule:
    """An entry: a job, and when it recurs. Checked when the App is built, or by whatever takes it."""

    name: str
    """1 to 63 of a-z 0-9 _ . : -; one entry of a name in a queue's database."""
    job: Job
    _: KW_ONLY
    cron: str | None = None
    """Five fields (minute hour day month weekday), or six with the second first."""
    every: Duration | None = None
    """A length of time of at least a second, counted from 1970-01-01 00:00 UTC; instead of ``cron``."""
    time_zone: str = "UTC"
    """Of the cron expression: a name of the IANA database."""
    missed: Missed = "once"
    """Runs that no worker was there for: none of them, one for all of them, or each."""
    most: int = 100
    """With ``missed="all"``: the latest so many."""
    jitter: Duration = timedelta()
    """A job starts up to so much later than its tick; how much is fixed for each entry and tick."""
    max_attempts: int | None = None
    """Of the jobs of this entry, where their class says otherwise: 1 leaves what failed to the next tick."""
    context: Context | None = None
    """Whose jobs they are; default: the settings' organization and user. Each tick has a correlation id of its own."""


def entry_of(schedule: Schedule, queue: Queue | AsyncQueue) -> Entry:
    """Return the entry as the columns of its row.

    Raises:
        ConfigurationError: names all faults of the entry.

    """
    faults: list[str] = []

    entry: Entry = {}
    for part in (_name, _timing, _zone, _missed, _most, _jitter, partial(_job, queue=queue)):
        try:
            entry |= part(schedule)
        except PgqueueError as error:
            faults.append(str(error))
    if faults:
        raise ConfigurationError(f"schedule {str(schedule.name)[:80]!r}: " + "; ".join(faults))
    text = json.dumps(entry, sort_keys=True)
    return entry | {"definition": hashlib.sha256(text.encode()).hexdigest()[:32]}


def _name(schedule: Schedule) -> Entry:
    name: object = schedule.name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError("its name must be 1 to 63 of a-z 0-9 _ . : -, beginning with a letter or digit")
    return {"name": name}


def _timing(schedule: Schedule) -> Entry:
    if (schedule.cron is None) == (schedule.every is None):
        raise ConfigurationError('give either cron="30 2 * * *" or every="10s"')
    every = None if schedule.every is None else duration(schedule.every, what="every")
    given: object = schedule.cron
    if given is not None and not isinstance(given, str):
        raise ConfigurationError(f'cron is {given!r}; write text, such as "30 2 * * *"')
    timing(schedule.cron, every, "UTC")
    cron = None if schedule.cron is None else " ".join(schedule.cron.split())
    return {"cron": cron, "every": None if every is None else _interval(every)}


def _zone(schedule: Schedule) -> Entry:
    zone(schedule.time_zone)
    if schedule.every is not None and schedule.time_zone != "UTC":
        raise ConfigurationError("every counts elapsed time, which has no zone; drop time_zone, or write a cron")
    return {"time_zone": schedule.time_zone}


def _jitter(schedule: Schedule) -> Entry:
    jitter = duration(schedule.jitter, what="jitter")
    if jitter > _LONGEST_JITTER:
        raise ConfigurationError(f"jitter is {schedule.jitter!r}; at most one day, for longer write another time")
    return {"jitter": _interval(jitter)}


def _missed(schedule: Schedule) -> Entry:
    if schedule.missed not in get_args(Missed):
        raise ConfigurationError(f"missed is {schedule.missed!r}; choose skip, once or all")
    return {"missed": schedule.missed}


def _most(schedule: Schedule) -> Entry:
    most: object = schedule.most
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= _MOST:
        raise ConfigurationError(f"most is {most!r}; give a number from 1 to {_MOST}")
    return {"most": most}


def _job(schedule: Schedule, *, queue: Queue | AsyncQueue) -> Entry:
    context, settings = schedule.context, queue.settings
    if context is None and settings.default_organization_id and settings.default_user_id:
        context = Context(settings.default_organization_id, settings.default_user_id)
    if not isinstance(context, Context):
        raise MissingContext(
            "no context: give context=Context(organization_id=…, user_id=…), or, for an application without tenants, "
            "set default_organization_id and default_user_id in the settings; as a command: --organization, --user"
        )
    shared, own = queue._row(checked_job(schedule.job), context, (None, None))  # noqa: SLF001 - a tick enqueues the very row that an enqueue of this job would
    row = shared._asdict() | own._asdict()
    options = {
        name: _portable(value) for name, value in row.items() if value is not None and name not in _COLUMNS | _MADE_ANEW
    }
    columns = {name: row[name] for name in _COLUMNS}
    if schedule.max_attempts is not None:
        columns["max_attempts"] = Retry(max_attempts=schedule.max_attempts).max_attempts
    return columns | {"args": json.loads(row["args"]), "options": options}


def _portable(value: Any) -> Any:
    """Return what PostgreSQL reads as the same value when it takes it from JSON."""
    if isinstance(value, timedelta):
        return _interval(value)
    return f"\\x{value.hex()}" if isinstance(value, bytes) else value


def _interval(length: timedelta) -> str:
    return f"{length.days} days {length.seconds}.{length.microseconds:06} seconds"


class _Face:
    """What both faces share: everything but the I/O."""

    def __init__(self, queue: Queue | AsyncQueue) -> None:
        """Open nothing; entries are checked with the queue's settings."""
        self._queue = queue
        self._queries = Recurrence(queue.settings.schema_name)


class Schedules(_Face):
    """Entries at run time, for code that is not asynchronous; each verb works in the caller's transaction."""

    def add(self, conn: SyncTransaction, schedule: Schedule, *, by: str = "") -> None:
        """Add an entry. Raises ConfigurationError for a faulty one, or when the name is taken."""
        if not run(conn, self._queries.add(entry_of(schedule, self._queue), by=checked_note(by))):
            raise taken(schedule.name)

    def change(self, conn: SyncTransaction, schedule: Schedule, *, by: str = "") -> None:
        """Put ``schedule`` in the place of the entry of its name, which was added at run time."""
        if run(conn, self._queries.change(entry_of(schedule, self._queue), by=checked_note(by))) is None:
            raise refused(schedule.name, run(conn, self._queries.names()))

    def remove(self, conn: SyncTransaction, name: str, *, by: str = "") -> None:
        """Remove an entry that is in no living worker's code."""
        if not run(conn, self._queries.remove(known_name(name), by=checked_note(by))):
            raise refused(name, run(conn, self._queries.names()))

    def pause(self, conn: SyncTransaction, name: str, *, by: str = "") -> None:
        """Let an entry make no jobs; its ticks until `resume` are not missed runs."""
        if not run(conn, self._queries.pause(known_name(name), by=checked_note(by))):
            raise refused(name, run(conn, self._queries.names()))

    def resume(self, conn: SyncTransaction, name: str, *, by: str = "") -> None:
        """Go on with the first tick from now."""
        if not run(conn, self._queries.resume(known_name(name), by=checked_note(by))):
            raise refused(name, run(conn, self._queries.names()))

    def run(self, conn: SyncTransaction, name: str, *, by: str = "") -> int:
        """Enqueue the entry's job now, beside its ticks; returns the job's id."""
        job_id = run(conn, self._queries.run(known_name(name), by=checked_note(by)))
        if job_id is None:
            raise refused(name, run(conn, self._queries.names()))
        return job_id

    def all(self, conn: SyncTransaction) -> list[ScheduleRow]:
        """Return every entry: how it stands, its next and its last run."""
        return run(conn, self._queries.all())


class AsyncSchedules(_Face):
    """Entries at run time, for asynchronous code: the verbs of `Schedules`, awaited."""

    async def add(self, conn: AsyncTransaction, schedule: Schedule, *, by: str = "") -> None:
        """Add an entry; see `Schedules.add`."""
        if not await run_async(conn, self._queries.add(entry_of(schedule, self._queue), by=checked_note(by))):
            raise taken(schedule.name)

    async def change(self, conn: AsyncTransaction, schedule: Schedule, *, by: str = "") -> None:
        """Change an entry; see `Schedules.change`."""
        if await run_async(conn, self._queries.change(entry_of(schedule, self._queue), by=checked_note(by))) is None:
            raise refused(schedule.name, await run_async(conn, self._queries.names()))

    async def remove(self, conn: AsyncTransaction, name: str, *, by: str = "") -> None:
        """Remove an entry; see `Schedules.remove`."""
        if not await run_async(conn, self._queries.remove(known_name(name), by=checked_note(by))):
            raise refused(name, await run_async(conn, self._queries.names()))

    async def pause(self, conn: AsyncTransaction, name: str, *, by: str = "") -> None:
        """Pause an entry; see `Schedules.pause`."""
        if not await run_async(conn, self._queries.pause(known_name(name), by=checked_note(by))):
            raise refused(name, await run_async(conn, self._queries.names()))

    async def resume(self, conn: AsyncTransaction, name: str, *, by: str = "") -> None:
        """Resume an entry; see `Schedules.resume`."""
        if not await run_async(conn, self._queries.resume(known_name(name), by=checked_note(by))):
            raise refused(name, await run_async(conn, self._queries.names()))

    async def run(self, conn: AsyncTransaction, name: str, *, by: str = "") -> int:
        """Enqueue the entry's job now; see `Schedules.run`."""
        job_id = await run_async(conn, self._queries.run(known_name(name), by=checked_note(by)))
        if job_id is None:
            raise refused(name, await run_async(conn, self._queries.names()))
        return job_id

    async def all(self, conn: AsyncTransaction) -> list[ScheduleRow]:
        """Return every entry; see `Schedules.all`."""
        return await run_async(conn, self._queries.all())


def known_name(name: object) -> str:
    """Refuse what no entry can be called."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UnknownSchedule(f"there is no schedule {ascii(name)[:80]}; names are 1 to 63 of a-z 0-9 _ . : -")
    return name


def taken(name: str) -> ConfigurationError:
    """Say that there is an entry of this name."""
    return ConfigurationError(f"there is a schedule named {name!r}; change it, remove it first, or take another name")


def refused(name: str, names: list[str]) -> ConfigurationError:
    """Say why nothing was done: the entry is unknown, or it belongs to the code."""
    if name in names:
        return ConfigurationError(
            f"the schedule {name!r} is in the code of living workers; change or remove it there, or pause it here"
        )
    known = ", ".join(names[:50]) or "none"
    return UnknownSchedule(f"there is no schedule {name!r}; known: {known}")
