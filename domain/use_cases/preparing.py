"""T1 of publishing: lock the row, check everything, write down which step comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from sqlalchemy import select

from domain.gateways.networks import Draft, File, Grant, Network, Networks, Phase, Plan
from domain.models import (
    AccountStatus,
    Organization,
    Post,
    PostStatus,
    PublishAttempt,
    ScheduledPost,
    SocialAccount,
    new_id,
    transition,
)
from domain.use_cases.publications import (
    DEAD_LETTER,
    IN_FLIGHT,
    attempts_of,
    database_now,
    fail,
    leave_unconfirmed,
    locked,
    pause_for_suspension,
    unresolved,
)
from domain.use_cases.throttling import wait_left
from pgqueue import Discard, Outcome, Snooze

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork
    from domain.use_cases.attachments import Attachments
    from pgqueue import JobContext

# How much earlier than our attempt the network's clock may date the post.
CLOCK_SKEW = timedelta(minutes=2)
TOO_LATE = timedelta(hours=24)
# A call that another job began may go on for so long: the queue's timeout and what its worker needs to notice.
CALL_LASTS = timedelta(seconds=135)


@dataclass(frozen=True, slots=True)
class Step:
    """What T1 decided; H and T2 need nothing else."""

    scheduled_post_id: UUID
    attempt_id: UUID
    account_id: UUID
    token_version: int
    phase: Literal["reconcile", "upload"] | Phase
    network: Network
    grant: Grant
    draft: Draft
    plan: Plan
    since: datetime
    """From when on there may be a post on the network that we do not know of."""
    file: File | None = None
    media_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something must not be published."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Preparation:
    """Decides what happens next to a scheduled post."""

    networks: Networks
    vault: Vault
    attachments: Attachments

    async def __call__(
        self, uow: UnitOfWork, scheduled_post_id: UUID, schedule_version: int | None, ctx: JobContext
    ) -> Step | Outcome | None:
        """Return the next step, or why there is none."""
        row = await locked(uow, scheduled_post_id)
        if row is None or schedule_version not in (None, row.schedule_version) or not _startable(row):
            return None  # gone, edited or already done: this job has nothing left to do
        attempts = await attempts_of(uow, row)
        now = await database_now(uow)
        account = await uow.session.get_one(SocialAccount, row.social_account_id)
        wait = _call_of_another_job(attempts, ctx, now) or await wait_left(uow, account, now)
        if wait is not None:
            return Snooze(wait, "the account is in use or is to be left alone")
        if not attempts and now - row.scheduled_at > TOO_LATE:
            transition(row, PostStatus.MISSED)
            return Discard("missed: the time was more than a day ago")
        if row.status in (PostStatus.FAILED, PostStatus.UNCONFIRMED):  # requeued from the dead letters
            transition(row, PostStatus.DISPATCHED)
        held = None if attempts else await _held(uow, row)
        gate = held or await self.attachments.gate(uow, row, now)
        if isinstance(gate, (Snooze, Discard)):
            return gate
        refusal = await _refusal(uow, row, account) or (Refusal(*gate) if gate else None)
        if refusal is not None:
            end = leave_unconfirmed if unresolved(attempts) else fail
            await end(uow, row, code=refusal.code, message=refusal.reason)
            return Discard(refusal.reason)
        return await self._begin(uow, row, account, attempts, (now, ctx))

    async def _begin(
        self,
        uow: UnitOfWork,
        row: ScheduledPost,
        account: SocialAccount,
        attempts: Sequence[PublishAttempt],
        moment: tuple[datetime, JobContext],
    ) -> Step:
        """Write down that a call begins."""
        now, ctx = moment
        network = self.networks.of(account.provider)
        if row.status != PostStatus.PUBLISHING:
            transition(row, PostStatus.PUBLISHING)
        row.failure_code = row.failure_message = None
        if not row.remote_plan:
            row.remote_plan = network.plan(row.publish_key, now)
        doubtful = unresolved(attempts)
        since = doubtful[0].started_at if doubtful else now
        uploads = await self.attachments.of(uow, row, now)
        phase: Literal["reconcile", "upload"] | Phase = network.phase(row.remote_plan)
        if doubtful and now - since > network.traits.repeatable:
            phase = "reconcile"
        elif uploads.missing is not None:
            phase = "upload"
        attempt = PublishAttempt(
            id=new_id(),
            organization_id=row.organization_id,
            scheduled_post_id=row.id,
            attempt=attempts[-1].attempt + 1 if attempts else 1,
            phase=phase,
            trace_id=ctx.trace_id,
        )
        uow.session.add(attempt)
        post = await uow.session.get_one(Post, row.post_id)
        tokens = self.vault.open(account.id, account.credentials)
        return Step(
            scheduled_post_id=row.id,
            attempt_id=attempt.id,
            account_id=account.id,
            token_version=account.token_version,
            phase=phase,
            network=network,
            grant=Grant(account.base_url, account.external_id, tokens.access),
            draft=Draft(post.overrides.get(account.provider, post.body), uploads.ready, in_doubt=bool(doubtful)),
            plan=dict(row.remote_plan),
            since=since - CLOCK_SKEW,
            file=uploads.missing,
            media_id=uploads.missing_id,
        )


def _startable(row: ScheduledPost) -> bool:
    """Tell whether publishing may begin; a buried publication may again when its job is requeued."""
    buried = row.status in (PostStatus.FAILED, PostStatus.UNCONFIRMED) and row.failure_code == DEAD_LETTER
    return row.status in IN_FLIGHT or buried


def _call_of_another_job(attempts: Sequence[PublishAttempt], ctx: JobContext, now: datetime) -> timedelta | None:
    """Tell how long another job may still be calling: looking now would miss what it is about to make.

    An open call of this same job is that of a run that is over: the queue lets no two of them be at work.
    """
    open_calls = [call for call in attempts if call.finished_at is None and call.trace_id != ctx.trace_id]
    left = [call.started_at + CALL_LASTS - now for call in open_calls]
    return max((wait for wait in left if wait > timedelta(0)), default=None)


async def _held(uow: UnitOfWork, row: ScheduledPost) -> Snooze | Discard | None:
    """Pause what would begin in a suspended organization, before the job that pauses the others comes by."""
    organization = select(Organization.status).where(Organization.id == row.organization_id)
    if row.status != PostStatus.DISPATCHED or await uow.session.scalar(organization) != "suspended":
        return None
    # A suspension locks the organization before its posts, we come the other way round: so we do not wait for it.
    status = await uow.session.scalar(organization.with_for_update(read=True, skip_locked=True))
    if status is None:
        return Snooze("1s", "the organization is being suspended or reinstated")
    if status != "suspended":
        return None
    pause_for_suspension(row)
    return Discard("paused: the organization is suspended")


async def _refusal(uow: UnitOfWork, row: ScheduledPost, account: SocialAccount) -> Refusal | None:
    """Tell why this must not be published now, if so."""
    status = await uow.session.scalar(select(Organization.status).where(Organization.id == row.organization_id))
    if status != "active":
        return Refusal("organization_inactive", f"the organization is {status}")
    if account.status != AccountStatus.ACTIVE:
        return Refusal(f"account_{account.status}", f"the account {account.handle} is {account.status}")
    return None
