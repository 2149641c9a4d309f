"""From a user's wish to a job: SchedulePost and DispatchDuePosts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from domain.jobs import ProcessScheduledPostJob
from domain.models import (
    AccountStatus,
    Media,
    Post,
    PostMedia,
    PostStatus,
    ScanStatus,
    ScheduledPost,
    SocialAccount,
    new_id,
    transition,
)
from domain.use_cases.clock import database_now
from domain.use_cases.walltimes import Moment, moment_of
from domain.use_cases.wording import says_something
from pgqueue import Context

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.gateways.networks import Networks, Traits
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import JobContext

# Short, so that an edit or a pause until then needs to touch no job; long enough for the dispatcher's next round.
LOOK_AHEAD = timedelta(seconds=60)
BATCH = 500
# What an outage has held up goes out one by one: no network likes a day's posts of an account in one second.
SPACING = timedelta(seconds=15)


class InvalidPost(Exception):
    """A post that cannot be scheduled as it is; the message is for the user."""


@dataclass(frozen=True, slots=True)
class DispatchDuePosts:
    """Give every post that is due within the minute to the queue, each to run at its exact time."""

    units: UnitsOfWork

    async def __call__(self, ctx: JobContext) -> None:
        """Dispatch one batch in the transaction that completes the job."""
        async with ctx.transaction() as session:
            await self.within(self.units.join(session, ctx.context))

    async def within(self, uow: UnitOfWork) -> int:
        """Dispatch one batch in this transaction. Several dispatchers at once take different posts."""
        place = func.row_number().over(
            partition_by=ScheduledPost.organization_id, order_by=(ScheduledPost.scheduled_at, ScheduledPost.id)
        )
        is_due = (
            ScheduledPost.status == PostStatus.SCHEDULED,
            ScheduledPost.scheduled_at <= func.clock_timestamp() + LOOK_AHEAD,
        )
        # the first of every organization before the second of any: one with very many keeps nobody waiting
        chosen = select(ScheduledPost.id).where(*is_due).order_by(place, ScheduledPost.scheduled_at).limit(BATCH)
        due = await uow.session.scalars(
            select(ScheduledPost)
            .where(*is_due, ScheduledPost.id.in_(chosen))
            .order_by(ScheduledPost.scheduled_at)
            .with_for_update(skip_locked=True)
        )
        rows = due.all()
        for row, run_at in _spaced(rows, await database_now(uow)):
            transition(row, PostStatus.DISPATCHED)
            row.dispatched_at = func.clock_timestamp()
            await uow.dispatch(
                ProcessScheduledPostJob(scheduled_post_id=row.id, schedule_version=row.schedule_version),
                run_at=run_at,
                context=_context_of(row, uow.context),
            )
        return len(rows)


def _spaced(rows: Sequence[ScheduledPost], now: datetime) -> Iterator[tuple[ScheduledPost, datetime]]:
    """Let each post run at its time, and those of an account that are late one after the other."""
    late: Counter[UUID] = Counter()
    for row in rows:
        if row.scheduled_at > now - LOOK_AHEAD:
            yield row, row.scheduled_at
        else:
            yield row, now + SPACING * late[row.social_account_id]
            late[row.social_account_id] += 1


@dataclass(frozen=True, slots=True)
class SchedulePost:
    """Store a post and when and where it is to appear."""

    units: UnitsOfWork
    networks: Networks
    dispatch_due_posts: DispatchDuePosts

    async def __call__(
        self,
        context: Context,
        *,
        body: str,
        scheduled_at: datetime,
        account_ids: Sequence[UUID],
        media_ids: Sequence[UUID] = (),
        zone: str | None = None,
    ) -> list[UUID]:
        """Schedule one post on one or more accounts; return the ids of the scheduled posts.

        With a ``zone`` (an IANA name) the time has no zone of its own: it is what the clock on the wall shows there,
        and the instant follows should the rules of the zone change. Raises `InvalidPost`.
        """
        _check(body, account_ids)
        async with self.units.begin(context) as uow:
            moment = await _moment(uow, scheduled_at, zone)
            accounts = await self._accounts(uow, account_ids)
            for account in accounts:
                _fits(self.networks.of(account.provider).traits, account, body.strip(), len(media_ids))
            post = Post(id=new_id(), organization_id=uow.organization_id, author_id=uow.user_id, body=body.strip())
            uow.session.add(post)
            await uow.session.flush()
            await self._attach(uow, post, media_ids)
            rows = [
                ScheduledPost(
                    id=new_id(),
                    organization_id=uow.organization_id,
                    post_id=post.id,
                    social_account_id=account.id,
                    created_by=uow.user_id,
                    scheduled_at=moment.instant,
                    wall_time=moment.wall_time,
                    wall_zone=moment.zone,
                )
                for account in accounts
            ]
            uow.session.add_all(rows)
            await uow.session.flush()
            await self.dispatch_due_posts.within(uow)
            return [row.id for row in rows]

    async def _attach(self, uow: UnitOfWork, post: Post, ids: Sequence[UUID]) -> None:
        if not ids:
            return
        found = await uow.session.scalars(
            select(Media.id).where(
                Media.organization_id == uow.organization_id,
                Media.id.in_(ids),
                Media.deleted_at.is_(None),
                Media.scan_status.not_in((ScanStatus.INFECTED, ScanStatus.REJECTED)),
            )
        )
        missing = set(ids) - set(found)
        if missing or len(set(ids)) != len(ids):
            raise InvalidPost("a file is named twice, did not pass the scan, or does not exist in this organization")
        new = update(Media).where(Media.id.in_(ids), Media.attached.is_(False))
        await uow.session.execute(new.values(attached=True))
        uow.session.add_all(
            PostMedia(organization_id=post.organization_id, post_id=post.id, position=position, media_id=media_id)
            for position, media_id in enumerate(ids)
        )

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


async def _moment(uow: UnitOfWork, scheduled_at: datetime, zone: str | None) -> Moment:
    if (scheduled_at.tzinfo is None) == (zone is None):
        raise InvalidPost("the time has no zone" if zone is None else "the time has two zones")
    moment = await moment_of(uow, scheduled_at, zone)
    if moment is None:
        raise InvalidPost(f"there is no time zone {zone!r}")
    return moment


def _check(body: str, account_ids: Sequence[UUID]) -> None:
    text = body.strip()
    if not says_something(text):
        raise InvalidPost("the post has no text")
    if "\x00" in text:
        raise InvalidPost("the text holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidPost("the text holds half a character")
    if not account_ids:
        raise InvalidPost("choose at least one account")
    if len(set(account_ids)) != len(account_ids):
        raise InvalidPost("an account is named twice")


def _fits(traits: Traits, account: SocialAccount, text: str, files: int) -> None:
    """Refuse what the network would refuse."""
    length, most = traits.length(text), account.limits.get("characters", traits.characters)
    if length > most:
        raise InvalidPost(f"the text has {length} characters; the network of {account.handle} takes {most}")
    if files > traits.media:
        raise InvalidPost(f"the post has {files} files; the network of {account.handle} takes {traits.media}")
    if traits.media_needed and not files:
        raise InvalidPost(f"the network of {account.handle} takes no post without a picture")


def _context_of(row: ScheduledPost, caller: Context) -> Context:
    """Return the context of the row's own tenant and author, in the caller's chain if it is the caller's row."""
    own = Context(str(row.organization_id), str(row.created_by))
    return caller if (own.organization_id, own.user_id) == (caller.organization_id, caller.user_id) else own
