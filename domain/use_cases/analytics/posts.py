"""The numbers of posts: SyncPostMetrics, and FanOutPostMetrics that finds whose turn it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from domain.events import PostMetricsCaptured
from domain.gateways.failures import Gone, NotAllowed
from domain.gateways.reading import PostNumbers
from domain.jobs import SyncPostMetricsJob
from domain.models import PostMetrics, PostStatus, ScheduledPost
from domain.use_cases.analytics.asking import Source
from domain.use_cases.analytics.ladders import METRICS, next_wait
from domain.use_cases.publications import database_now, locked
from pgqueue import Context, Discard, Outcome

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.analytics.asking import Asking
    from pgqueue import JobContext

BATCH = 1_000
MOST_OF_ACCOUNT = 50
AGE = "age"


@dataclass(frozen=True, slots=True)
class SyncPostMetrics:
    """Store the numbers of a post at a moment: absolute ones, once for each bucket."""

    units: UnitsOfWork
    asking: Asking

    async def __call__(self, ctx: JobContext, scheduled_post_id: UUID, bucket: datetime | None) -> Outcome | None:
        """Ask and store; ``bucket`` None is the first one, that of the publication itself."""
        async with self.units.begin(ctx.context) as uow:
            row = await locked(uow, scheduled_post_id)
            if row is None or not await _wanted(uow, row, bucket):
                return None
            source = await self.asking.source(uow, row.social_account_id)
        if not isinstance(source, Source):
            return source
        external_id = row.external_id or ""
        try:
            numbers = await self.asking.ask(ctx, source, lambda to: to.reader.post_numbers(to.grant, external_id))
        except (Gone, NotAllowed) as error:
            return await self._stop(scheduled_post_id, "removed" if isinstance(error, Gone) else "scope", ctx)
        if not isinstance(numbers, PostNumbers):
            return numbers
        async with ctx.transaction() as session:
            await self._store(self.units.join(session, ctx.context), scheduled_post_id, bucket, numbers)
        return None

    async def _store(
        self, uow: UnitOfWork, scheduled_post_id: UUID, bucket: datetime | None, numbers: PostNumbers
    ) -> None:
        row = await locked(uow, scheduled_post_id)
        if row is None or row.published_at is None or not await _wanted(uow, row, bucket):
            return
        bucket = bucket or row.published_at
        now = await database_now(uow)
        values = {
            "impressions": numbers.impressions,
            "likes": numbers.likes,
            "reposts": numbers.reposts,
            "replies": numbers.replies,
            "raw": numbers.raw,
            "captured_at": now,
        }
        await uow.session.execute(
            insert(PostMetrics)
            .values(scheduled_post_id=row.id, organization_id=row.organization_id, bucket=bucket, **values)
            .on_conflict_do_nothing()
        )
        _plan_next(row, now)
        await uow.publish(PostMetricsCaptured(scheduled_post_id=row.id, bucket=bucket))

    async def _stop(self, scheduled_post_id: UUID, why: str, ctx: JobContext) -> Outcome:
        """Ask no more: the network will say the same again."""
        async with self.units.begin(ctx.context) as uow:
            row = await locked(uow, scheduled_post_id)
            if row is not None:
                row.metrics_stopped, row.next_metrics_at = why, None
        return Discard(f"no more numbers: {why}")


@dataclass(frozen=True, slots=True)
class FanOutPostMetrics:
    """Dispatch a job for each post whose turn it is: bounded, and fair to every account."""

    units: UnitsOfWork

    async def __call__(self, ctx: JobContext) -> Outcome | None:
        """Dispatch one batch, in one transaction with the job's completion."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            now = await database_now(uow)
            for row in await self._due(uow):
                await uow.dispatch(
                    SyncPostMetricsJob(scheduled_post_id=row.id, bucket=row.next_metrics_at),
                    context=Context(str(row.organization_id), str(row.created_by)),
                )
                _plan_next(row, now)  # a job that dies costs one bucket; nobody is asked again at once
        return None

    async def _due(self, uow: UnitOfWork) -> list[ScheduledPost]:
        place = func.row_number().over(
            partition_by=ScheduledPost.social_account_id, order_by=ScheduledPost.next_metrics_at
        )
        due = (
            select(ScheduledPost.id, place.label("place"))
            .where(
                ScheduledPost.status == PostStatus.PUBLISHED, ScheduledPost.next_metrics_at <= func.clock_timestamp()
            )
            .subquery()
        )
        chosen = (
            select(due.c.id).where(due.c.place <= MOST_OF_ACCOUNT).order_by(due.c.place).limit(BATCH).scalar_subquery()
        )
        found = await uow.session.scalars(
            select(ScheduledPost).where(ScheduledPost.id.in_(chosen)).with_for_update(skip_locked=True)
        )
        return list(found)


def _plan_next(row: ScheduledPost, now: datetime) -> None:
    wait = next_wait(METRICS, now - (row.published_at or now))
    row.next_metrics_at = None if wait is None else now + wait
    if wait is None:
        row.metrics_stopped = AGE


async def _wanted(uow: UnitOfWork, row: ScheduledPost, bucket: datetime | None) -> bool:
    """Tell whether the network is still to be asked for this bucket."""
    if row.status != PostStatus.PUBLISHED or row.metrics_stopped in {"removed", "scope"}:
        return False
    there = await uow.session.get(PostMetrics, (row.id, bucket or row.published_at))
    return there is None
