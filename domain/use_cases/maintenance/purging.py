"""PurgeExpiredRecords: in short transactions, so that nobody waits for it, and never all at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from sqlalchemy import any_, delete, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from domain.gateways.failures import GatewayError, Postponed
from domain.jobs import PurgeExpiredRecordsJob
from domain.models import ObjectTombstone
from domain.use_cases.maintenance.retention import POLICIES
from domain.use_cases.media.uploading import UPLOAD
from pgqueue import Continue, Discard, Outcome, Snooze

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sqlalchemy import ColumnElement, Row, Select, Table

    from domain.gateways.storage import Storage
    from domain.jobs.maintenance import Retention
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.maintenance.retention import Policy
    from pgqueue import JobContext

# Should a clock or a policy be wrong, this bounds what one night can cost.
MOST_PARTS = 20
UPLOAD_TIME = timedelta(days=1)
_OBJECTS_AT_ONCE = 100
_MOST_ERROR = 300


@dataclass(frozen=True, slots=True)
class PurgeExpiredRecords:
    """Remove what one policy says is over."""

    units: UnitsOfWork
    storage: Storage
    batch: int = 1_000
    """How many rows one transaction takes: their locks are held for some milliseconds."""
    share: float = 0.6
    """How much of the job's time is used before a job that follows takes over."""

    async def __call__(self, policy: Retention, part: int, ctx: JobContext) -> Outcome | None:
        """Remove batch after batch, each committed by itself, until nothing is left or the time is over."""
        if part > MOST_PARTS:
            return Discard(f"{policy}: more is left than one night takes; it goes on with the next one")
        enough = ctx.seconds_left * (1 - self.share)
        failed: list[str] = []
        try:
            while await self._some(policy, ctx, failed):
                if ctx.seconds_left <= enough:
                    return Continue(PurgeExpiredRecordsJob(retention=policy, part=part + 1))
        except Postponed as error:
            return Snooze(error.wait, f"{error.code}: {error}")
        return None

    async def _some(self, policy: Retention, ctx: JobContext, failed: list[str]) -> bool:
        """Remove one batch; tell whether there may be more."""
        if policy == "objects":
            return await self._objects(ctx, failed)
        async with self.units.begin(ctx.context) as uow:
            return await self._rows(uow, policy, POLICIES[policy]) == self.batch

    async def _rows(self, uow: UnitOfWork, name: Retention, policy: Policy) -> int:
        """Take rows that nobody else holds: who works on one is not waited for."""
        wanted = oldest_of(policy, self.batch).with_for_update(skip_locked=True)
        # an array is made once: the limit holds however the statement is planned
        chosen = _place(policy) == any_(func.array(wanted.scalar_subquery()))
        columns = [getattr(policy.model, column) for column in policy.objects]
        tenant = [policy.model.organization_id] if columns else [*_table(policy).primary_key][:1]  # type: ignore[attr-defined] # it has objects
        change = (
            delete(policy.model).where(chosen)
            if policy.blank is None
            else update(policy.model).where(chosen).values(policy.blank)
        )
        statement = change.returning(*tenant, *columns).execution_options(synchronize_session=False)
        gone = (await uow.session.execute(statement)).all()
        if columns:
            await _bury_objects(uow, name, gone)
        return len(gone)

    async def _objects(self, ctx: JobContext, failed: list[str]) -> bool:
        """Delete objects whose rows are gone: first the object, then its tombstone."""
        async with self.units.begin(ctx.context) as uow:
            keys = list(
                await uow.session.scalars(
                    select(ObjectTombstone.storage_key)
                    .where(
                        # an upload may still be under way
                        or_(
                            ObjectTombstone.reason != UPLOAD,
                            ObjectTombstone.created_at < func.clock_timestamp() - UPLOAD_TIME,
                        ),
                        ObjectTombstone.storage_key.not_in(failed),
                    )
                    .order_by(ObjectTombstone.created_at)
                    .limit(_OBJECTS_AT_ONCE)
                )
            )
        done: list[str] = []
        for key in keys:
            try:
                await self.storage.delete(key)
            except Postponed:
                raise
            except GatewayError as error:
                failed.append(key)
                await self._note(ctx, key, error)
            else:
                done.append(key)
        async with self.units.begin(ctx.context) as uow:
            await uow.session.execute(delete(ObjectTombstone).where(ObjectTombstone.storage_key.in_(done)))
        return len(keys) == _OBJECTS_AT_ONCE

    async def _note(self, ctx: JobContext, key: str, error: GatewayError) -> None:
        async with self.units.begin(ctx.context) as uow:
            await uow.session.execute(
                update(ObjectTombstone)
                .where(ObjectTombstone.storage_key == key)
                .values(attempts=ObjectTombstone.attempts + 1, last_error=str(error)[:_MOST_ERROR])
            )


def oldest_of(policy: Policy, most: int) -> Select[Any]:
    """Where the rows lie that go first."""
    return select(_place(policy)).select_from(_table(policy)).where(policy.over).order_by(policy.oldest).limit(most)


def _place(policy: Policy) -> ColumnElement[Any]:
    # it is locked, so it cannot move, and no index has to be asked for it again
    return literal_column(f"{_table(policy).fullname}.ctid")


def _table(policy: Policy) -> Table:
    return cast("Table", policy.model.__table__)


async def _bury_objects(uow: UnitOfWork, reason: str, gone: Sequence[Row[Any]]) -> None:
    stones: list[dict[str, object]] = []
    for row in gone:
        organization_id, *keys = tuple(row)
        stones += [
            {"storage_key": key, "organization_id": organization_id, "reason": reason}
            for key in keys
            if key is not None
        ]
    if stones:
        await uow.session.execute(insert(ObjectTombstone).on_conflict_do_nothing(), stones)
