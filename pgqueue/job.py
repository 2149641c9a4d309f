"""What a job is: a record of arguments, a policy by class keywords, and one line that calls a use case."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from pgqueue.errors import InvalidJob
from pgqueue.isolation import check_limits, isolation
from pgqueue.limit import check_keys
from pgqueue.policy import Policy, check_values, kept, times, turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pgqueue.context import Context
    from pgqueue.duration import Duration
    from pgqueue.limit import Limit, Rate
    from pgqueue.policy import Idempotency, Priority
    from pgqueue.retry import Retry
    from pgqueue.unique import Unique

_MOST_ID = 2**63 - 1  # bigint


@dataclass(frozen=True, slots=True)
class Death:
    """Why a job is being buried, as `Job.on_dead` gets it."""

    job_id: int
    kind: str
    queue: str
    reason: str
    error: str
    attempts: int
    context: Context


def _check_fields(job: type[BaseModel]) -> None:
    """Refuse fields that would hide what every job has, and names that would differ between enqueue and run."""
    taken = sorted({"kind", "policy", "abstract", "upgrade", "run", "on_dead"} & job.model_fields.keys())
    if taken:
        raise TypeError(
            f"{job.__name__} has a field named {taken[0]!r}, which every job has already; take another name"
        )
    renamed = sorted(field for field, info in job.model_fields.items() if info.alias or info.validation_alias)
    if renamed:
        raise TypeError(f"{job.__name__}.{renamed[0]} has an alias; arguments are stored by their names, drop it")


def _check_methods(job: type[BaseModel]) -> None:
    """Refuse methods that would do nothing when they are called."""
    for name in ("run", "on_dead"):
        method = getattr(job, name, None)
        if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
            raise TypeError(
                f"{job.__name__}.{name} has a `yield`: calling it would run none of it; take the `yield` out, "
                "and enqueue what it would yield with queue.enqueue_many"
            )


def _check_concrete(job: type[Job]) -> None:
    """Refuse what cannot run, or names fields that it does not have."""
    if job.policy.unique is not None:
        job.policy.unique.check(job.__name__, job.model_fields)
    check_keys(job.policy.limit, job.model_fields, f"{job.__name__}'s")
    if not callable(getattr(job, "run", None)):
        raise TypeError(f"{job.__name__} has no run(self, app, ctx); write one, or say abstract=True for a base class")


def checked_job(job: object) -> Job:
    """Refuse what is no job, with a sentence."""
    if isinstance(job, type):
        raise InvalidJob(f"cannot enqueue the class {job.__name__}; enqueue an instance: {job.__name__}(…)")
    if not isinstance(job, Job):
        raise InvalidJob(f"cannot enqueue a {type(job).__name__}; enqueue an instance of a subclass of pgqueue.Job")
    if job.abstract:
        raise InvalidJob(f"{type(job).__name__} is a base class (abstract=True); enqueue one of its subclasses")
    return job


def checked_id(job_id: object) -> int:
    """Refuse what cannot be the id of a job."""
    if not isinstance(job_id, int) or isinstance(job_id, bool) or not -_MOST_ID <= job_id <= _MOST_ID:
        raise InvalidJob(f"{str(job_id)[:80]!r} is no id of a job; give the number that enqueue returned")
    return job_id


def checked_ids(job_ids: Iterable[object]) -> list[int]:
    """Refuse them all if one cannot be an id."""
    return [checked_id(job_id) for job_id in job_ids]


class Job(BaseModel):
    """A kind of background job.

    Fields are the arguments: validated at enqueue and at run, frozen, nothing extra. Class keywords are the policy.

        class SendWelcome(Job, queue="notifications", timeout="30s", retry=Retry(max_attempts=3)):
            user_id: UUID

            async def run(self, app: MyApp, ctx: JobContext) -> Outcome | None:
                return await app.welcome.send(self.user_id)

    ``run`` may also be a plain ``def``: it runs in a thread. ``on_dead(app, session, death)``, if there is one, runs
    in the transaction that buries the job, so that the domain's row is put in a truthful state.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    policy: ClassVar[Policy] = Policy()
    kind: ClassVar[str] = "Job"
    abstract: ClassVar[bool] = True

    def __init_subclass__(cls, **policy: object) -> None:
        """Take the class keywords; pydantic hands them on when the fields are known."""
        del policy
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(  # noqa: PLR0913 - the policy's keywords, one each
        cls,
        *,
        queue: str | None = None,
        timeout: Duration | None = None,
        retry: Retry | None = None,
        retain: Duration | None = None,
        retain_cancelled: Duration | None = None,
        retain_discarded: Duration | None = None,
        retain_dead: Duration | None = None,
        max_age: Duration | None = None,
        executor: str | None = None,
        memory: str | None = None,
        cpu: Duration | None = None,
        unique: Unique | None = None,
        limit: Limit | Rate | Sequence[Limit | Rate] | None = None,
        cost: int | None = None,
        priority: Priority | None = None,
        idempotency: Idempotency | None = None,
        version: int = 1,
        kind: str | None = None,
        use_case: str = "",
        dispatched_by: Sequence[str] = (),
        safe: Sequence[str] = (),
        abstract: bool = False,
        **unknown: object,
    ) -> None:
        """Read the policy; a misspelt keyword fails here, at import."""
        if unknown:
            raise TypeError(_misspelt(cls.__name__, sorted(unknown)))
        _check_fields(cls)
        _check_methods(cls)
        cls.kind = kind or cls.__name__
        cls.abstract = abstract
        name = f"{cls.__name__}'s"
        given: dict[str, Any] = {"queue": queue, "retry": retry, "unique": unique, "idempotency": idempotency}
        given |= times(name, timeout=timeout, max_age=max_age, retain_dead=retain_dead)
        given |= kept(name, retain=retain, retain_cancelled=retain_cancelled, retain_discarded=retain_discarded)
        given |= turns(name, limit, cost, priority) | isolation(name, executor, memory, cpu)
        check_values(name, retry, unique, idempotency, version)
        cls.policy = replace(
            cls.policy,
            **{field: value for field, value in given.items() if value is not None},
            version=version,
            use_case=use_case,
            dispatched_by=(dispatched_by,) if isinstance(dispatched_by, str) else tuple(dispatched_by),
            safe=cls.policy.safe | frozenset(safe),
        )
        check_limits(name, cls.policy.executor, {"memory": cls.policy.memory, "cpu": cls.policy.cpu})
        if not abstract:
            _check_concrete(cls)

    @classmethod
    def upgrade(cls, args: dict[str, Any], version: int) -> dict[str, Any]:
        """Turn arguments of an older payload version into today's. Override it when ``version`` grows."""
        del version
        return args


class JobFailed(Job, abstract=True):
    """The event of a buried job. A subclass with a ``run`` listens when the App names it in ``on_job_failed``.

    It is enqueued in the burying transaction, one row for each listener; a listener that dies emits none.
    """

    job_id: int
    job_kind: str
    job_queue: str
    reason: str
    error: str
    attempts: int


def _misspelt(name: str, unknown: list[str]) -> str:
    known = [*Policy.__dataclass_fields__, "kind", "abstract"]
    parts = []
    for word in unknown:
        close = difflib.get_close_matches(word, known, 1)
        parts.append(f"{word!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
    return f"class {name}(Job, …): unknown keyword {', '.join(parts)}; known are {', '.join(known)}"
