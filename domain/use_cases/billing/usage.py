"""SyncUsageRecords: what was used is counted anew each time, and Stripe gets the total, not the difference.

    T1  count, write down what is about to be told   (commit)
    H   tell Stripe, with no transaction open
    T2  write down that Stripe has it, together with the job's completion

The meter's formula is ``last``, so telling a total twice is the same as telling it once, for ever: the identifier keeps
repeats out for a day only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Date, cast, func, select
from sqlalchemy.dialects.postgresql import insert

from domain.events import UsageConsolidated
from domain.gateways.failures import Postponed, Rejected
from domain.jobs import SyncUsageRecordsJob
from domain.models import (
    Organization,
    UsageEvent,
    UsageRecord,
    UsageReport,
    UsageReportStatus,
    transition,
)
from domain.use_cases.billing.subscriptions import context_of
from domain.use_cases.clock import database_now
from pgqueue import Dead, Outcome, Snooze
from pgqueue.errors import LockTaken

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Subquery

    from domain.gateways.stripe import Stripe
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import JobContext

OLDEST = timedelta(days=35)
"""What happened longer ago Stripe does not take."""
CLOSES_AFTER = timedelta(hours=2)
SLICE = 500
_LOOK_BACK = timedelta(hours=50)
_LOCK = "60s"
_SOON = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is about to be told."""

    seq: int
    identifier: str
    total: int
    at: datetime
    customer_id: str


@dataclass(frozen=True, slots=True)
class FanOutUsage:
    """Dispatch a job for each organization, metric and month with something new, or something to close."""

    units: UnitsOfWork

    async def __call__(self, ctx: JobContext, *, after: UUID | None) -> None:
        """Look back two days, and at months that are over and not closed; one slice of organizations."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            todo = _todo(await database_now(uow)).c
            slice_ = select(todo.organization_id).distinct().order_by(todo.organization_id).limit(SLICE)
            ids = (await session.scalars(slice_ if after is None else slice_.where(todo.organization_id > after))).all()
            found = await session.execute(
                select(todo.organization_id, todo.metric, todo.start)
                .where(todo.organization_id.in_(ids))
                .order_by(todo.organization_id, todo.metric, todo.start)
            )
            for organization_id, metric, start in found.all():
                await uow.dispatch(
                    SyncUsageRecordsJob(metric=metric, period_start=start),
                    context=context_of(organization_id, ctx.context),
                )
            if len(ids) == SLICE:
                await uow.dispatch(SyncUsageRecordsJob(after=ids[-1]))


@dataclass(frozen=True, slots=True)
class SyncUsageRecords:
    """Tell Stripe the total of one metric in one month; safe to call again at any moment."""

    units: UnitsOfWork
    stripe: Stripe

    async def __call__(self, ctx: JobContext, metric: str, period_start: date | None) -> Outcome | None:
        """Run T1, H and T2; without a month for the present one."""
        if period_start is None:
            async with self.units.begin(ctx.context) as uow:
                period_start = (await database_now(uow)).astimezone(UTC).date().replace(day=1)
        name = f"usage:{ctx.organization_id}:{metric}"  # Stripe takes one call for a customer's meter at a time
        try:
            async with self.units.queue.lock(name, ttl=_LOCK):
                async with self.units.begin(ctx.context) as uow:
                    told = await _prepare(uow, metric, period_start)
                if not isinstance(told, _Told):
                    return told
                return await self._tell(ctx, metric, period_start, told)
        except LockTaken as taken:
            return Snooze(min(taken.retry_after, _SOON), "this usage is being told already")
        except Postponed as error:
            return Snooze(error.wait, f"{error.code}: {error}")

    async def _tell(self, ctx: JobContext, metric: str, period_start: date, told: _Told) -> Outcome | None:
        try:
            await self.stripe.report_usage(metric, told.customer_id, told.total, identifier=told.identifier, at=told.at)
        except Rejected as error:
            async with self.units.begin(ctx.context) as uow:
                report = await _report(uow, metric, period_start, told.seq)
                if report.status == UsageReportStatus.PENDING:
                    transition(report, UsageReportStatus.REJECTED)
                    report.error = str(error)
            return Dead(f"Stripe refuses the usage: {error}")
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            report = await _report(uow, metric, period_start, told.seq)
            if report.status != UsageReportStatus.PENDING:
                return None
            now = await database_now(uow)
            record = await _record(uow, metric, period_start)
            transition(report, UsageReportStatus.SENT)
            report.sent_at = now
            record.closed_at = _closed(record, now)
            about = {"organization_id": uow.organization_id, "metric": metric, "period_start": period_start}
            await uow.publish(UsageConsolidated(**about, seq=told.seq))  # type: ignore[arg-type] # mixed values
        return None


async def _prepare(uow: UnitOfWork, metric: str, period_start: date) -> _Told | Outcome | None:
    """T1."""
    period_end = _next_month(period_start)
    values = {"metric": metric, "period_start": period_start, "period_end": period_end, "quantity": 0}
    await uow.session.execute(
        insert(UsageRecord).values(values | {"organization_id": uow.organization_id}).on_conflict_do_nothing()
    )
    record = await _record(uow, metric, period_start)
    if record.closed_at is not None:
        return None
    record.quantity = await _count(uow, metric, period_start, period_end)
    customer_id = await uow.session.scalar(
        select(Organization.stripe_customer_id).where(Organization.id == uow.organization_id)
    )
    now = await database_now(uow)
    if customer_id is None:  # counted, and there is nobody to tell
        record.closed_at = _closed(record, now)
        return None
    reports = await _reports(uow, metric, period_start)
    last = reports[-1] if reports else None
    if last is not None and last.total == record.quantity and last.status != UsageReportStatus.REJECTED:
        if last.status == UsageReportStatus.SENT:
            record.closed_at = _closed(record, now)
            return None
        report = last
    else:
        for overtaken in reports:
            if overtaken.status == UsageReportStatus.PENDING:
                transition(overtaken, UsageReportStatus.REJECTED)
                overtaken.error = "overtaken by a later total"
        report = _new_report(record, last, now)
        uow.session.add(report)
        await uow.session.flush()
    if now - report.event_time > OLDEST:
        transition(report, UsageReportStatus.REJECTED)
        report.error = "older than 35 days"
        return Dead(f"the usage of {metric} since {period_start} was not told for 35 days; Stripe takes it no more")
    return _Told(report.seq, report.identifier, report.total, report.event_time, customer_id)


def _closed(record: UsageRecord, now: datetime) -> datetime | None:
    """Return when the month was closed: two hours after its end, when whatever was under way has been counted."""
    return now if now >= _midnight(record.period_end) + CLOSES_AFTER else None


def _new_report(record: UsageRecord, last: UsageReport | None, now: datetime) -> UsageReport:
    at = min(now, _midnight(record.period_end) - timedelta(seconds=1))  # a late report still belongs to its month
    if last is not None and last.event_time.replace(microsecond=0) >= at.replace(microsecond=0):
        at = last.event_time + timedelta(seconds=1)  # Stripe counts in seconds, and the last one holds
    seq = last.seq + 1 if last is not None else 1
    return UsageReport(
        organization_id=record.organization_id,
        metric=record.metric,
        period_start=record.period_start,
        seq=seq,
        identifier=f"usage-{record.organization_id}-{record.metric}-{record.period_start:%Y%m}-{seq}",
        total=record.quantity,
        event_time=at,
        status=UsageReportStatus.PENDING.value,
    )


async def _count(uow: UnitOfWork, metric: str, start: date, end: date) -> int:
    total = await uow.session.scalar(
        select(func.coalesce(func.sum(UsageEvent.quantity), 0)).where(
            UsageEvent.organization_id == uow.organization_id,
            UsageEvent.metric == metric,
            UsageEvent.occurred_at >= _midnight(start),
            UsageEvent.occurred_at < _midnight(end),
        )
    )
    return int(total or 0)


async def _record(uow: UnitOfWork, metric: str, period_start: date) -> UsageRecord:
    key: tuple[UUID, str, date] = (uow.organization_id, metric, period_start)
    return await uow.session.get_one(UsageRecord, key, with_for_update=True)


async def _reports(uow: UnitOfWork, metric: str, period_start: date) -> list[UsageReport]:
    found = await uow.session.scalars(
        select(UsageReport)
        .where(
            UsageReport.organization_id == uow.organization_id,
            UsageReport.metric == metric,
            UsageReport.period_start == period_start,
        )
        .order_by(UsageReport.seq)
    )
    return list(found)


async def _report(uow: UnitOfWork, metric: str, period_start: date, seq: int) -> UsageReport:
    return await uow.session.get_one(
        UsageReport, (uow.organization_id, metric, period_start, seq), with_for_update=True
    )


def _todo(now: datetime) -> Subquery:
    """Select what happened lately, and months that have ended and can still be told."""
    month = func.timezone("UTC", func.date_trunc("month", UsageEvent.occurred_at, "UTC"))
    lately = select(UsageEvent.organization_id, UsageEvent.metric, cast(month, Date).label("start")).where(
        UsageEvent.occurred_at >= now - _LOOK_BACK
    )
    open_ = select(UsageRecord.organization_id, UsageRecord.metric, UsageRecord.period_start).where(
        UsageRecord.closed_at.is_(None),
        UsageRecord.period_end.between((now - OLDEST).date(), now.date()),
    )
    return lately.union(open_).subquery()


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
