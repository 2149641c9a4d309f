"""From a user's wish to a job: SchedulePost and DispatchDuePosts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from domain.gateways.mastodon import MAX_CHARACTERS
from domain.jobs import ProcessScheduledPostJob
from domain.models import AccountStatus, Post, PostStatus, ScheduledPost, SocialAccount, new_id, transition
from pgqueue import Context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork, UnitsOfWork

# Short, so that an edit or a pause until then needs to touch no job; long enough for the dispatcher's next round.
LOOK_AHEAD = timedelta(seconds=60)
BATCH = 500


class InvalidPost(Exception):
    """A post that cannot be scheduled as it is; the message is for the user."""


@dataclass(frozen=True, slots=True)
class DispatchDuePosts:
    """Give every post that is due within the minute to the queue, each to run at its exact time."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> int:
        """Dispatch one batch in a transaction of its own; return how many."""
        async with self.units.begin(context) as uow:
            return await self.within(uow)

    async def within(self, uow: UnitOfWork) -> int:
        """Dispatch one batch in this transaction. Several dispatchers at once take different posts."""
        due = await uow.session.scalars(
            select(ScheduledPost)
            .where(
                ScheduledPost.status == PostStatus.SCHEDULED,
                ScheduledPost.scheduled_at <= func.clock_timestamp() + LOOK_AHEAD,
            )
            .order_by(ScheduledPost.scheduled_at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        rows = due.all()
        for row in rows:
            transition(row, PostStatus.DISPATCHED)
            row.dispatched_at = func.clock_timestamp()
            await uow.dispatch(
                ProcessScheduledPostJob(scheduled_post_id=row.id, schedule_version=row.schedule_version),
                run_at=row.scheduled_at,
                context=_context_of(row, uow.context),
            )
        return len(rows)


@dataclass(frozen=True, slots=True)
class SchedulePost:
    """Store a post and when and where it is to appear."""

    units: UnitsOfWork
    dispatch_due_posts: DispatchDuePosts

    async def __call__(
        self, context: Context, *, body: str, scheduled_at: datetime, account_ids: Sequence[UUID]
    ) -> list[UUID]:
        """Schedule one post on one or more accounts; return the ids of the scheduled posts."""
        _check(body, scheduled_at, account_ids)
        async with self.units.begin(context) as uow:
            accounts = await self._accounts(uow, account_ids)
            post = Post(id=new_id(), organization_id=uow.organization_id, author_id=uow.user_id, body=body.strip())
            uow.session.add(post)
            await uow.session.flush()
            rows = [
                ScheduledPost(
                    id=new_id(),
                    organization_id=uow.organization_id,
                    post_id=post.id,
                    social_account_id=account.id,
                    created_by=uow.user_id,
                    scheduled_at=scheduled_at,
                )
                for account in accounts
            ]
            uow.session.add_all(rows)
            await uow.session.flush()
            await self.dispatch_due_posts.within(uow)
            return [row.id for row in rows]

    async def _accounts(self, uow: UnitOfWork, ids: Sequence[UUID]) -> Sequence[SocialAccount]:
        found = await uow.session.scalars(
            select(SocialAccount).where(SocialAccount.organization_id == uow.organization_id, SocialAccount.id.in_(ids))
        )
        accounts = {account.id: account for account in found}
        for account_id in ids:
            account = accounts.get(account_id)
            if account is None:
                raise InvalidPost(f"account {account_id} does not exist in this organization")
            if account.status != AccountStatus.ACTIVE:
                raise InvalidPost(f"account {account.handle} is {account.status}; connect it again first")
        return [accounts[account_id] for account_id in ids]


def _check(body: str, scheduled_at: datetime, account_ids: Sequence[UUID]) -> None:
    text = body.strip()
    if not text:
        raise InvalidPost("the post has no text")
    if "\x00" in text:
        raise InvalidPost("the text holds a NUL character")
    if len(text) > MAX_CHARACTERS:
        raise InvalidPost(f"the text has {len(text)} characters; the network takes {MAX_CHARACTERS}")
    if scheduled_at.tzinfo is None:
        raise InvalidPost("the time has no zone")
    if not account_ids:
        raise InvalidPost("choose at least one account")
    if len(set(account_ids)) != len(account_ids):
        raise InvalidPost("an account is named twice")


def _context_of(row: ScheduledPost, caller: Context) -> Context:
    """Return the context of the row's own tenant and author, in the caller's chain if it is the caller's row."""
    own = Context(str(row.organization_id), str(row.created_by))
    return caller if (own.organization_id, own.user_id) == (caller.organization_id, caller.user_id) else own
