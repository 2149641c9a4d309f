"""PublishScheduledPost: one post to one network, once, whatever is lost on the way.

    T1  lock the row, check, write down that a call begins            (commit)
    H   call the network, with no transaction open
    T2  write down how it ended, together with the job's completion   (one commit)

A crash between T1 and T2 leaves an attempt without outcome. The next run therefore begins by finding out: with the same
key while the network still remembers it, else by looking at what the account has published.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from sqlalchemy import func, select

from domain.events import PostPublished
from domain.gateways.failures import GatewayError, Postponed
from domain.gateways.mastodon import Grant, Mastodon, RemoteStatus
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
    audience,
    database_now,
    fail,
    leave_unconfirmed,
    locked,
    unresolved,
)
from domain.use_cases.verdicts import Verdict, verdict_of
from pgqueue import Discard, Outcome, Snooze

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import JobContext

# Mastodon remembers a key for an hour; five minutes for clocks and for the call itself.
KEY_REMEMBERED = timedelta(minutes=55)
# How much earlier than our attempt the network's clock may date the post.
CLOCK_SKEW = timedelta(minutes=2)
TOO_LATE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Plan:
    """What T1 decided; H and T2 need nothing else."""

    scheduled_post_id: UUID
    attempt_id: UUID
    phase: Literal["publish", "reconcile"]
    grant: Grant
    text: str
    publish_key: str
    in_doubt_since: datetime | None
    """Since when there may be a post on the network that we do not know of."""


@dataclass(frozen=True, slots=True)
class PublishScheduledPost:
    """Publish one scheduled post; safe to call again at any moment."""

    units: UnitsOfWork
    mastodon: Mastodon
    vault: Vault

    async def __call__(
        self, scheduled_post_id: UUID, ctx: JobContext, *, schedule_version: int | None = None
    ) -> Outcome | None:
        """Run T1, H and T2; ``schedule_version`` None publishes whichever version there is."""
        async with self.units.begin(ctx.context) as uow:
            plan = await self._prepare(uow, scheduled_post_id, schedule_version, ctx)
        if not isinstance(plan, Plan):
            return plan
        try:
            if plan.phase == "reconcile":
                return await self._reconcile(plan, ctx)
            status = await self.mastodon.publish(plan.grant, plan.text, key=plan.publish_key)
        except GatewayError as error:
            return await self._settle_failure(plan, error, ctx)
        await self._settle_success(plan, status, ctx)
        return None

    async def _prepare(
        self, uow: UnitOfWork, scheduled_post_id: UUID, schedule_version: int | None, ctx: JobContext
    ) -> Plan | Outcome | None:
        """T1."""
        row = await locked(uow, scheduled_post_id)
        if row is None or schedule_version not in (None, row.schedule_version) or not _startable(row):
            return None  # gone, edited or already done: this job has nothing left to do
        attempts = await attempts_of(uow, row)
        now = await database_now(uow)
        if not attempts and now - row.scheduled_at > TOO_LATE:
            transition(row, PostStatus.MISSED)
            return Discard("missed: the time was more than a day ago")
        if row.status in (PostStatus.FAILED, PostStatus.UNCONFIRMED):  # requeued from the dead letters
            transition(row, PostStatus.DISPATCHED)
        account = await uow.session.get_one(SocialAccount, row.social_account_id)
        refusal = await _refusal(uow, row, account)
        doubtful = unresolved(attempts)
        if refusal is not None:
            end = leave_unconfirmed if doubtful else fail
            await end(uow, row, code=refusal.code, message=refusal.reason)
            return Discard(refusal.reason)
        if row.status != PostStatus.PUBLISHING:
            transition(row, PostStatus.PUBLISHING)
        row.failure_code = row.failure_message = None
        since = doubtful[0].started_at if doubtful else None
        phase: Literal["publish", "reconcile"] = "publish"
        if since is not None and now - since > KEY_REMEMBERED:
            phase = "reconcile"
        attempt = _begin(uow, row, attempts, phase, ctx)
        post = await uow.session.get_one(Post, row.post_id)
        tokens = self.vault.open(account.id, account.credentials)
        grant = Grant(account.base_url, account.external_id, tokens.access)
        return Plan(row.id, attempt.id, phase, grant, post.body, str(row.publish_key), since)

    async def _reconcile(self, plan: Plan, ctx: JobContext) -> Outcome | None:
        """Look whether the network has the post; publish it only if it provably has not."""
        since = (plan.in_doubt_since or ctx.enqueued_at) - CLOCK_SKEW
        listing = await self.mastodon.statuses_since(plan.grant, since)
        wanted = _folded(plan.text)
        matching = [s for s in listing.statuses if s.created_at >= since and _folded(s.text) == wanted]
        async with self.units.begin(ctx.context) as uow:
            found = await _not_ours_already(uow, plan, matching)
        if found is not None:
            await self._settle_success(plan, found, ctx)
            return None
        async with self.units.begin(ctx.context) as uow:
            row = await uow.session.get_one(ScheduledPost, plan.scheduled_post_id, with_for_update=True)
            attempts = await attempts_of(uow, row)
            _close(attempts, plan, outcome="ok", code="absent" if listing.complete else "inconclusive")
            if not listing.complete:
                message = "the account has published so much since that its list does not tell"
                await leave_unconfirmed(uow, row, code="inconclusive", message=message)
                return Discard("unconfirmed: " + message)
            for attempt in unresolved(attempts):
                attempt.outcome, attempt.error_code = "transient", "absent"
        return await self(plan.scheduled_post_id, ctx)

    async def _settle_success(self, plan: Plan, status: RemoteStatus, ctx: JobContext) -> None:
        """T2, good ending: the row, the event and the job's completion in one commit."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            row = await uow.session.get_one(ScheduledPost, plan.scheduled_post_id, with_for_update=True)
            attempts = await attempts_of(uow, row)
            _close(attempts, plan, outcome="ok")
            if row.status == PostStatus.PUBLISHED:
                return
            for attempt in unresolved(attempts):
                attempt.outcome = "unknown"  # which of the calls did it stays unknown, that one did is not
            transition(row, PostStatus.PUBLISHED)
            row.external_id, row.permalink = status.external_id, status.permalink
            row.published_at = func.clock_timestamp()
            await uow.publish(
                PostPublished(scheduled_post_id=row.id, generation=len(attempts), audience=await audience(uow, row))
            )

    async def _settle_failure(self, plan: Plan, error: GatewayError, ctx: JobContext) -> Outcome:
        """T2, bad ending: what the failure means for attempt, row and account; then tell the queue."""
        verdict = verdict_of(error)
        async with self.units.begin(ctx.context) as uow:
            row = await uow.session.get_one(ScheduledPost, plan.scheduled_post_id, with_for_update=True)
            attempts = await attempts_of(uow, row)
            _close(attempts, plan, outcome=verdict.outcome, error=error)
            if verdict.fate == "fail":
                await self._conclude(uow, row, attempts, (plan, verdict, error))
        if verdict.fate == "fail":
            return Discard(f"{error.code}: {error}")
        if isinstance(error, Postponed):
            return Snooze(error.wait, f"{error.code}: {error}")
        raise error

    async def _conclude(
        self,
        uow: UnitOfWork,
        row: ScheduledPost,
        attempts: Sequence[PublishAttempt],
        refused: tuple[Plan, Verdict, GatewayError],
    ) -> None:
        plan, verdict, error = refused
        if verdict.account is not None:
            account = await uow.session.get_one(SocialAccount, row.social_account_id, with_for_update=True)
            if account.status == AccountStatus.ACTIVE:
                transition(account, verdict.account)
                account.status_reason = error.code
        disproved = verdict.disproves and plan.phase == "publish"
        if disproved:
            for attempt in unresolved(attempts):
                attempt.outcome, attempt.error_code = "transient", "absent"
        end = leave_unconfirmed if unresolved(attempts) else fail
        await end(uow, row, code=error.code, message=str(error))


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    reason: str


def _startable(row: ScheduledPost) -> bool:
    """Tell whether publishing may begin; a buried publication may again when its job is requeued."""
    buried = row.status in (PostStatus.FAILED, PostStatus.UNCONFIRMED) and row.failure_code == DEAD_LETTER
    return row.status in IN_FLIGHT or buried


async def _refusal(uow: UnitOfWork, row: ScheduledPost, account: SocialAccount) -> _Refusal | None:
    """Tell why this must not be published now, if so."""
    status = await uow.session.scalar(select(Organization.status).where(Organization.id == row.organization_id))
    if status != "active":
        return _Refusal("organization_inactive", f"the organization is {status}")
    if account.status != AccountStatus.ACTIVE:
        return _Refusal(f"account_{account.status}", f"the account {account.handle} is {account.status}")
    return None


async def _not_ours_already(uow: UnitOfWork, plan: Plan, matching: Sequence[RemoteStatus]) -> RemoteStatus | None:
    """Pick the oldest status that no other scheduled post of ours stands for (the same text may be posted twice)."""
    taken = await uow.session.scalars(
        select(ScheduledPost.external_id).where(
            ScheduledPost.organization_id == uow.organization_id,
            ScheduledPost.id != plan.scheduled_post_id,
            ScheduledPost.external_id.in_([status.external_id for status in matching]),
        )
    )
    known = set(taken)
    return next((status for status in reversed(matching) if status.external_id not in known), None)


def _begin(
    uow: UnitOfWork,
    row: ScheduledPost,
    attempts: Sequence[PublishAttempt],
    phase: Literal["publish", "reconcile"],
    ctx: JobContext,
) -> PublishAttempt:
    attempt = PublishAttempt(
        id=new_id(),
        organization_id=row.organization_id,
        scheduled_post_id=row.id,
        attempt=attempts[-1].attempt + 1 if attempts else 1,
        phase=phase,
        trace_id=ctx.trace_id,
    )
    uow.session.add(attempt)
    return attempt


def _close(
    attempts: Sequence[PublishAttempt],
    plan: Plan,
    *,
    outcome: str,
    code: str | None = None,
    error: GatewayError | None = None,
) -> None:
    attempt = next(attempt for attempt in attempts if attempt.id == plan.attempt_id)
    attempt.outcome, attempt.error_code = outcome, code
    attempt.finished_at = func.clock_timestamp()
    if error is not None:
        attempt.http_status, attempt.error_code, attempt.excerpt = error.status, error.code, str(error)[:500]


def _folded(text: str) -> str:
    """Fold what networks change in a text: white space."""
    return " ".join(text.split())
