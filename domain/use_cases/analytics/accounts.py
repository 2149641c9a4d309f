"""The numbers of accounts: SyncAccountMetrics, and FanOutAccountMetrics in the small hours of each organization."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Date, cast, extract, func, select
from sqlalchemy.dialects.postgresql import insert

from domain.events import AccountMetricsCaptured
from domain.gateways.failures import Gone, NotAllowed
from domain.gateways.reading import AccountNumbers
from domain.jobs import SyncAccountMetricsJob
from domain.models import AccountMetrics, AccountStatus, Organization, OrganizationStatus, SocialAccount
from domain.use_cases.analytics.asking import Source
from pgqueue import Context, Discard, Outcome

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.analytics.asking import Asking
    from pgqueue import JobContext

LOCAL_HOUR = 3
SPREAD = timedelta(minutes=40)
BATCH = 5_000


@dataclass(frozen=True, slots=True)
class SyncAccountMetrics:
    """Store the numbers of an account on a day: one row for each day, absolute numbers."""

    units: UnitsOfWork
    asking: Asking

    async def __call__(self, ctx: JobContext, social_account_id: UUID, day: date | None) -> Outcome | None:
        """Ask and store; ``day`` None is today where the organization is."""
        async with self.units.begin(ctx.context) as uow:
            day = day or await _today(uow)
            if await uow.session.get(AccountMetrics, (social_account_id, day)) is not None:
                return None
            source = await self.asking.source(uow, social_account_id)
        if not isinstance(source, Source):
            return source
        try:
            numbers = await self.asking.ask(ctx, source, lambda to: to.reader.account_numbers(to.grant))
        except (Gone, NotAllowed) as error:
            return Discard(f"{error.code}: {error}")
        if not isinstance(numbers, AccountNumbers):
            return numbers
        async with ctx.transaction() as session:
            await _store(self.units.join(session, ctx.context), social_account_id, day, numbers)
        return None


@dataclass(frozen=True, slots=True)
class FanOutAccountMetrics:
    """Dispatch a job for each account of the organizations where it is three in the morning."""

    units: UnitsOfWork

    async def __call__(self, ctx: JobContext) -> Outcome | None:
        """Dispatch them, in one transaction with the job's completion."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            local = func.timezone(Organization.timezone, func.clock_timestamp())
            found = await uow.session.execute(
                select(SocialAccount.id, Organization.id, SocialAccount.connected_by, cast(local, Date))
                .join(Organization, Organization.id == SocialAccount.organization_id)
                .where(
                    Organization.status == OrganizationStatus.ACTIVE,
                    SocialAccount.status == AccountStatus.ACTIVE,
                    extract("hour", local) == LOCAL_HOUR,
                )
                # more than one hour takes: the ones that were left out today are the first tomorrow
                .order_by(SocialAccount.last_metrics_at.nulls_first(), SocialAccount.id)
                .limit(BATCH)
            )
            for account_id, organization_id, user_id, day in found.all():
                await uow.dispatch(
                    SyncAccountMetricsJob(social_account_id=account_id, day=day),
                    context=Context(str(organization_id), str(user_id)),
                    delay=SPREAD * random.random(),  # noqa: S311 - it spreads load and guards nothing
                )
        return None


async def _today(uow: UnitOfWork) -> date:
    zone = select(Organization.timezone).where(Organization.id == uow.organization_id).scalar_subquery()
    today: date = (await uow.session.scalars(select(cast(func.timezone(zone, func.clock_timestamp()), Date)))).one()
    return today


async def _store(uow: UnitOfWork, account_id: UUID, day: date, numbers: AccountNumbers) -> None:
    account = await uow.session.scalar(
        select(SocialAccount)
        .where(SocialAccount.organization_id == uow.organization_id, SocialAccount.id == account_id)
        .with_for_update()
    )
    if account is None:
        return
    stored = await uow.session.execute(
        insert(AccountMetrics)
        .values(
            social_account_id=account_id,
            organization_id=uow.organization_id,
            day=day,
            captured_at=func.clock_timestamp(),
            followers=numbers.followers,
            following=numbers.following,
            posts=numbers.posts,
            raw=numbers.raw,
        )
        .on_conflict_do_nothing()
        .returning(AccountMetrics.day)
    )
    if stored.first() is None:
        return
    account.last_metrics_at = func.clock_timestamp()
    # what a network leaves out does not empty what we know
    account.handle = numbers.handle or account.handle
    account.avatar_url = numbers.avatar_url or account.avatar_url
    await uow.publish(AccountMetricsCaptured(social_account_id=account_id, day=day))
