"""The App: which jobs exist, what they are handed, and with which settings they run. Opens nothing at import."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from pgqueue.errors import ConfigurationError, UnknownKind, UnknownQueue
from pgqueue.job import Job, JobFailed
from pgqueue.policy import RETENTION, Idempotency
from pgqueue.schedule import Schedule, entry_of
from pgqueue.setting_tables import PRIORITIES, QueueSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pgqueue.policy import Policy
    from pgqueue.queue import AsyncQueue, Queue
    from pgqueue.schedule import Entry
    from pgqueue.settings import Settings


class App:
    """What a worker needs to know of an application."""

    def __init__(  # noqa: PLR0913 - what a worker needs to know, one each
        self,
        *,
        queue: Queue | AsyncQueue,
        jobs: Iterable[type[Job]],
        handle: object = None,
        settings: Settings | None = None,
        on_job_failed: Sequence[type[JobFailed]] = (),
        schedules: Iterable[Schedule] = (),
        engine: Engine | None = None,
        async_engine: AsyncEngine | None = None,
        idempotency_required: bool = False,
    ) -> None:
        """Check everything that can be checked without a database; all faults are told at once.

        Args:
            queue: through which the application enqueues.
            jobs: every kind, listed explicitly.
            handle: what ``run(self, app, ctx)`` gets as ``app``: an object, or a callable without arguments that makes
                it when a worker starts (a context manager, sync or async, is entered and left). Named as
                ``"module:attribute"`` it is imported by workers alone: commands start without it.
            settings: default: those of ``queue``.
            on_job_failed: kinds that hear of buried jobs.
            schedules: what recurs; workers keep these entries in the database.
            engine: for ``with ctx.transaction()``; default: made from the queue's database URL.
            async_engine: the same for ``async with``.
            idempotency_required: refuse kinds that do not say with ``idempotency=`` why a second run does no harm.

        Raises:
            ConfigurationError: unknown queue, a kind defined twice, a listener that cannot listen, no jobs, a
                faulty schedule.

        """
        self.queue = queue
        self.settings = settings or queue.settings
        self.handle = handle
        self.engine = engine
        self.async_engine = async_engine
        self._idempotency_required = idempotency_required
        self.path: str | None = None
        """``module:attribute``, when it was loaded by that: a child process finds it the same way."""
        self.on_job_failed = tuple(on_job_failed)
        self.kinds: Mapping[str, type[Job]] = {}
        faults = list(self._collect([*jobs, *self.on_job_failed]))
        self.schedules: Sequence[Entry] = ()
        faults += self._schedule(schedules)
        if faults:
            raise ConfigurationError(f"{len(faults)} fault(s) in the App: " + "; ".join(faults))

    def _collect(self, jobs: Sequence[type[Job]]) -> Iterable[str]:
        kinds: dict[str, type[Job]] = {}
        if not jobs:
            yield "no jobs: list the classes in jobs=[…]"
        for job in jobs:
            if not _is_job_class(job):
                yield f"{job!r} is no Job class"
                continue
            if job.abstract:
                yield f"{job.__name__} is a base class (abstract=True) and cannot run"
            other = kinds.setdefault(job.kind, job)
            if other is not job:
                yield f"the kind {job.kind!r} is defined twice: {_where(other)} and {_where(job)}"
            if self._idempotency_required and job.policy.idempotency is None:
                words = ", ".join(f'"{word}"' for word in get_args(Idempotency))
                yield f"{job.__name__} does not say why it may run twice; give it idempotency= one of {words}"
            if job.policy.queue not in self.settings.queues:
                known = ", ".join(sorted(self.settings.queues))
                missing = f"{job.policy.queue!r}, which the settings do not name; known: {known}"
                yield f"{job.__name__} goes to the queue {missing}"
        for listener in self.on_job_failed:
            if not (_is_job_class(listener) and JobFailed in listener.__mro__):
                yield f"{getattr(listener, '__name__', listener)} cannot listen: derive it from pgqueue.JobFailed"
        self.kinds = kinds

    def _schedule(self, schedules: Iterable[object]) -> Iterable[str]:
        entries: dict[str, Entry] = {}
        for schedule in schedules:
            if not isinstance(schedule, Schedule):
                yield f"{schedule!r} is no Schedule"
                continue
            try:
                entry = entry_of(schedule, self.queue)
            except ConfigurationError as error:
                yield str(error)
                continue
            if entry["kind"] not in self.kinds:
                yield f"schedule {schedule.name!r} makes the kind {entry['kind']!r}, which jobs=[…] does not list"
            if entries.setdefault(schedule.name, entry) is not entry:
                yield f"the schedule {schedule.name!r} is named twice"
        self.schedules = list(entries.values())

    def take(self, settings: Settings) -> None:
        """Run with other settings from now on. Raises ConfigurationError and keeps the old ones if they do not fit."""
        before, self.settings = self.settings, settings
        faults = list(self._collect(list(self.kinds.values())))
        if faults:
            self.settings = before
            raise ConfigurationError(f"{len(faults)} fault(s) in the App: " + "; ".join(faults))

    def queues(self, names: Sequence[str] | None = None) -> dict[str, QueueSettings]:
        """Return the settings of these queues in this order of priority (None: all, by their priority)."""
        every = self.settings.queues
        if names is None:
            return dict(sorted(every.items(), key=lambda item: PRIORITIES.index(item[1].priority)))
        unknown = [name for name in names if name not in every]
        if unknown:
            known = ", ".join(sorted(every))
            raise UnknownQueue(f"unknown queue {', '.join(map(repr, unknown))}; the App names: {known}")
        return {name: every[name] for name in names}

    def timeout_of(self, job: type[Job]) -> float:
        """Return how long a job of this kind may run, in seconds."""
        own = job.policy.timeout
        return (own or self.settings.queues[job.policy.queue].timeout).total_seconds()

    def policy_of(self, job: type[Job]) -> Policy:
        """Return the policy of a kind, with the retention of its queue where the class says nothing."""
        queue = self.settings.queues[job.policy.queue]
        silent = [name for name in RETENTION if getattr(job.policy, name) is None]
        return replace(job.policy, **{name: getattr(queue, name) for name in silent})

    def load_handle(self) -> object:
        """Return the handle; one that was named is imported now. Raises ConfigurationError."""
        if isinstance(self.handle, str):
            self.handle = _imported("the App's handle", self.handle)
        return self.handle

    def dead_kept(self) -> dict[str, float]:
        """Return for how many seconds unhandled dead letters are kept, for the kinds where that has an end."""
        bounds = {name: self.policy_of(job).retain_dead for name, job in self.kinds.items()}
        return {name: bound.total_seconds() for name, bound in bounds.items() if bound is not None}

    def describe(self) -> list[dict[str, Any]]:
        """Return what `pgqueue kinds --json` prints."""
        return [
            {
                "kind": name,
                "queue": job.policy.queue,
                "timeout_seconds": self.timeout_of(job),
                "max_attempts": job.policy.retry.max_attempts,
                "backoff_seconds": [wait.total_seconds() for wait in job.policy.retry.backoff],
                "use_case": job.policy.use_case,
                "dispatched_by": list(job.policy.dispatched_by),
                "idempotency": job.policy.idempotency,
            }
            for name, job in sorted(self.kinds.items())
        ]


def load_app(path: str) -> App:
    """Import ``module:attribute``: an App, or a factory without arguments that makes one."""
    found = _imported("--app", path)
    if not isinstance(found, App) and callable(found) and not inspect.isclass(found):
        found = found()
    if not isinstance(found, App):
        raise ConfigurationError(f"--app {path} is a {type(found).__name__}; it must be a pgqueue.App or make one")
    found.path = path
    return found


def kind_of(app: App, name: str) -> type[Job]:
    """Return the class of a kind. Raises UnknownKind with the known ones."""
    if name not in app.kinds:
        raise UnknownKind(f"unknown kind {name!r}; the App names: {', '.join(sorted(app.kinds))}")
    return app.kinds[name]


def _imported(what: str, path: str) -> Any:
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise ConfigurationError(f"{what} is {path!r}; write module:attribute, such as myproject.jobs:app")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and not module_name.startswith(error.name):
            raise  # the module exists; something that it imports does not
        raise ConfigurationError(
            f"{what} {path}: there is no module {error.name!r}; run this where it can be imported"
        ) from error
    found = getattr(module, attribute, None)
    if found is None:
        raise ConfigurationError(
            f"{what} {path}: {module_name} has no {attribute!r}; name the object or a function that makes it"
        )
    return found


def _is_job_class(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Job)


def _where(job: type[Job]) -> str:
    return f"{job.__module__}.{job.__qualname__}"
