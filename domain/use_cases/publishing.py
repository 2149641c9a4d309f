"""PublishScheduledPost: one post to one network, once, whatever is lost on the way.

    T1  lock the row, check, write down that a call begins                        (commit)
    H   call the network, with no transaction open
    T2  write down how it ended; the last one together with the job's completion  (one commit)

A post is a walk of such steps: upload each file, make what the network wants first, publish. A crash between T1 and T2
leaves an attempt without outcome. The next run therefore begins by finding out: with the same call while the network
still knows that it is the same, else by looking at what the account has published.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from domain.events import PostPublished
from domain.gateways.failures import AuthExpired, Duplicate, GatewayError, NotReady, Postponed, RateLimited
from domain.gateways.networks import Finding, Idempotency, Progress, RemotePost
from domain.models import PostStatus, PublishAttempt, RemoteMedia, ScheduledPost, SocialAccount, UsageEvent, transition
from domain.use_cases.integration.outgoing import tell_endpoints
from domain.use_cases.preparing import Preparation, Step
from domain.use_cases.publications import attempts_of, audience, database_now, fail, leave_unconfirmed, unresolved
from domain.use_cases.renewing import BUSY, RenewTokens, end_grant
from domain.use_cases.throttling import remember, spread
from domain.use_cases.verdicts import Verdict, verdict_of
from pgqueue import Discard, Outcome, Snooze
from pgqueue.errors import LockTaken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import JobContext

# Four uploads, a container, its readiness, a look, the post; more than that is a network that goes in circles.
MOST_STEPS = 12
MOST_POLLS = 90
FIRST_NUMBERS = timedelta(hours=1)
Made = RemotePost | Progress | Finding | RemoteMedia
_INTERRUPTED = Snooze(timedelta(minutes=1), "the network asks for step after step")


@dataclass(frozen=True, slots=True)
class PublishScheduledPost:
    """Publish one scheduled post; safe to call again at any moment."""

    units: UnitsOfWork
    prepare: Preparation
    renew_tokens: RenewTokens

    async def __call__(self, ctx: JobContext, scheduled_post_id: UUID, schedule_version: int | None) -> Outcome | None:
        """Walk to the end; ``schedule_version`` None publishes whichever version there is."""
        renewed = False
        for _ in range(MOST_STEPS):
            async with self.units.begin(ctx.context) as uow:
                step = await self.prepare(uow, scheduled_post_id, schedule_version, ctx)
            if not isinstance(step, Step):
                return step
            try:
                made = await _make(step)
            except GatewayError as error:
                if isinstance(error, AuthExpired) and not renewed:
                    ended, renewed = await self._renew(step, error, ctx), True
                else:
                    ended = await self._settle_failure(step, error, ctx)
            else:
                ended = await self._go_on(step, made, ctx)
            if ended is not None or ctx.completed:
                return ended
        return _INTERRUPTED

    async def _renew(self, step: Step, refused: AuthExpired, ctx: JobContext) -> Outcome | None:
        """Get new tokens for a call that was refused for the old ones: then it is made again, in place."""
        try:
            await self.renew_tokens(ctx.context, step.account_id, seen_version=step.token_version)
        except LockTaken:
            await self._note(step, refused, ctx)
            return Snooze(BUSY, "somebody else is renewing these tokens")
        except AuthExpired:
            return await self._settle_failure(step, refused, ctx)
        except GatewayError as error:
            await self._note(step, refused, ctx)
            if isinstance(error, Postponed):
                return Snooze(error.wait, f"{error.code}: {error}")
            raise
        await self._note(step, refused, ctx)
        return None

    async def _note(self, step: Step, refused: AuthExpired, ctx: JobContext) -> None:
        """Close the attempt of a call that was refused for its tokens."""
        async with self.units.begin(ctx.context) as uow:
            row = await uow.session.get_one(ScheduledPost, step.scheduled_post_id, with_for_update=True)
            _close(await attempts_of(uow, row), step, outcome="auth", error=refused)

    async def _go_on(self, step: Step, made: Made, ctx: JobContext) -> Outcome | None:
        """T2: end with the post, or write down what was learned; None and an open job: the next step follows."""
        if isinstance(made, RemotePost):
            return await self._settle_success(step, made, ctx)
        found = await self._unclaimed(step, made.posts, ctx) if isinstance(made, Finding) else None
        if found is not None:
            return await self._settle_success(step, found, ctx)
        async with self.units.begin(ctx.context) as uow:
            row = await uow.session.get_one(ScheduledPost, step.scheduled_post_id, with_for_update=True)
            attempts = await attempts_of(uow, row)
            match made:
                case Progress(plan):
                    _close(attempts, step, outcome="ok")
                    row.remote_plan = plan
                case RemoteMedia():
                    _close(attempts, step, outcome="ok")
                    made.organization_id = row.organization_id
                    await uow.session.merge(made)
                case Finding(complete=True):
                    _close(attempts, step, outcome="ok", code="absent")
                    _disprove(attempts)
                case Finding():
                    _close(attempts, step, outcome="ok", code="inconclusive")
                    message = "the network cannot tell whether it has the post"
                    await leave_unconfirmed(uow, row, code="inconclusive", message=message)
                    return Discard("unconfirmed: " + message)
        return None

    async def _unclaimed(self, step: Step, posts: Sequence[RemotePost], ctx: JobContext) -> RemotePost | None:
        """Pick the oldest that no other scheduled post of ours stands for (the same text may be posted twice)."""
        async with self.units.begin(ctx.context) as uow:
            taken = await uow.session.scalars(
                select(ScheduledPost.external_id).where(
                    ScheduledPost.organization_id == uow.organization_id,
                    ScheduledPost.social_account_id == step.account_id,
                    ScheduledPost.id != step.scheduled_post_id,
                    ScheduledPost.external_id.in_([post.external_id for post in posts]),
                )
            )
            known = set(taken)
        return next((post for post in reversed(posts) if post.external_id not in known), None)

    async def _settle_success(self, step: Step, post: RemotePost, ctx: JobContext) -> Outcome | None:
        """T2, good ending: the row, the event and the job's completion in one commit."""
        if await self._unclaimed(step, [post], ctx) is None:
            error = Duplicate(f"{post.external_id} is the post of another schedule", code="duplicate_post")
            return await self._settle_failure(step, error, ctx)
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            row = await uow.session.get_one(ScheduledPost, step.scheduled_post_id, with_for_update=True)
            attempts = await attempts_of(uow, row)
            _close(attempts, step, outcome="ok")
            if row.status == PostStatus.PUBLISHED:
                return None
            for attempt in unresolved(attempts):
                attempt.outcome = "unknown"  # which of the calls did it stays unknown, that one did is not
            now = await database_now(uow)
            transition(row, PostStatus.PUBLISHED)
            row.external_id, row.permalink, row.published_at = post.external_id, post.permalink, now
            row.next_metrics_at = now + FIRST_NUMBERS
            uow.session.add(_usage(row))
            await uow.publish(
                PostPublished(scheduled_post_id=row.id, generation=len(attempts), audience=await audience(uow, row))
            )
            data = {"scheduled_post_id": str(row.id), "permalink": row.permalink}
            await tell_endpoints(uow, "post.published", data)
        return None

    async def _settle_failure(self, step: Step, error: GatewayError, ctx: JobContext) -> Outcome:
        """T2, bad ending: what the failure means for attempt, row and account; then tell the queue."""
        verdict = verdict_of(error)
        async with self.units.begin(ctx.context) as uow:
            row = await uow.session.get_one(ScheduledPost, step.scheduled_post_id, with_for_update=True)
            attempts = await attempts_of(uow, row)
            _close(attempts, step, outcome=verdict.outcome, error=error)
            if isinstance(error, RateLimited):
                await remember(uow, await uow.session.get_one(SocialAccount, row.social_account_id), error.wait)
            polls = sum(attempt.error_code == error.code for attempt in attempts)
            ends = verdict.fate == "fail" or (isinstance(error, NotReady) and polls >= MOST_POLLS)
            if ends:
                await _conclude(uow, row, attempts, (step, verdict, error))
            elif isinstance(error, NotReady):
                transition(row, PostStatus.PROCESSING)
        if ends:
            return Discard(f"{error.code}: {error}")
        if isinstance(error, Postponed):
            return Snooze(spread(error.wait), f"{error.code}: {error}")
        raise error


async def _make(step: Step) -> Made:
    """H."""
    if step.phase == "reconcile":
        return await step.network.find(step.grant, step.draft, step.plan, step.since)
    if step.file is not None and step.phase == "upload":
        ref = await step.network.upload(step.grant, step.file)
        return RemoteMedia(scheduled_post_id=step.scheduled_post_id, media_id=step.media_id, remote_ref=ref)
    return await step.network.step(step.grant, step.draft, step.plan)


async def _conclude(
    uow: UnitOfWork,
    row: ScheduledPost,
    attempts: Sequence[PublishAttempt],
    refused: tuple[Step, Verdict, GatewayError],
) -> None:
    step, verdict, error = refused
    if verdict.ends_grant:
        account = await uow.session.get_one(SocialAccount, row.social_account_id, with_for_update=True)
        await end_grant(uow, account, error.code)
    if verdict.disproves and step.phase == "publish" and step.network.traits.idempotency is Idempotency.KEY:
        _disprove(attempts)
    end = leave_unconfirmed if unresolved(attempts) else fail
    await end(uow, row, code=error.code, message=str(error))


def _usage(row: ScheduledPost) -> UsageEvent:
    return UsageEvent(
        metric="posts_published",
        source_type="scheduled_post",
        source_id=row.id,
        organization_id=row.organization_id,
        quantity=1,
        occurred_at=row.published_at,
    )


def _disprove(attempts: Sequence[PublishAttempt]) -> None:
    """Write down that no earlier call made a post."""
    for attempt in unresolved(attempts):
        attempt.outcome, attempt.error_code = "transient", "absent"


def _close(
    attempts: Sequence[PublishAttempt],
    step: Step,
    *,
    outcome: str,
    code: str | None = None,
    error: GatewayError | None = None,
) -> None:
    attempt = next(attempt for attempt in attempts if attempt.id == step.attempt_id)
    attempt.outcome, attempt.error_code = outcome, code
    attempt.finished_at = func.clock_timestamp()
    if error is not None:
        attempt.http_status, attempt.error_code, attempt.excerpt = error.status, error.code, str(error)[:500]
