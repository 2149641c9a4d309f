"""What the publishing use cases share: reading a scheduled post with all that belongs to it, and ending it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.events import PostPublishFailed, PostPublishUnconfirmed
from domain.models import Membership, PostStatus, PublishAttempt, ScheduledPost, transition
from domain.use_cases.clock import database_now as database_now  # noqa: PLC0414 - callers find it beside the rest
from domain.use_cases.integration.outgoing import tell_endpoints

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork

DEAD_LETTER = "dead_letter"
SUSPENDED = "organization_suspended"
"""Why a post is paused that goes on when the organization does."""
IN_FLIGHT = frozenset({PostStatus.DISPATCHED, PostStatus.PUBLISHING, PostStatus.PROCESSING})
_MOST_RECIPIENTS = 50
_MOST_TEXT = 500


def pause_for_suspension(row: ScheduledPost) -> None:
    """Keep a post that has not begun until its organization works again."""
    row.paused_from, row.paused_reason = row.status, SUSPENDED
    if row.status == PostStatus.DISPATCHED:
        row.schedule_version += 1  # its job is in the queue: by the time it starts, it must not be meant any more
    transition(row, PostStatus.PAUSED)


async def locked(uow: UnitOfWork, scheduled_post_id: UUID) -> ScheduledPost | None:
    """Load a scheduled post of this organization and keep it locked until the transaction ends."""
    return await uow.session.scalar(
        select(ScheduledPost)
        .where(ScheduledPost.organization_id == uow.organization_id, ScheduledPost.id == scheduled_post_id)
        .with_for_update()
    )


async def attempts_of(uow: UnitOfWork, row: ScheduledPost) -> Sequence[PublishAttempt]:
    """Load every call that was begun for this post, oldest first."""
    found = await uow.session.scalars(
        select(PublishAttempt).where(PublishAttempt.scheduled_post_id == row.id).order_by(PublishAttempt.attempt)
    )
    return found.all()


def unresolved(attempts: Sequence[PublishAttempt]) -> list[PublishAttempt]:
    """Pick the calls that may have published without our knowing."""
    return [attempt for attempt in attempts if attempt.phase == "publish" and attempt.outcome in (None, "unknown")]


async def audience(uow: UnitOfWork, row: ScheduledPost) -> tuple[UUID, ...]:
    """Find who is to know how a publication ended: the author and the administrators."""
    administrators = await uow.session.scalars(
        select(Membership.user_id)
        .where(Membership.organization_id == row.organization_id, Membership.role.in_(("owner", "admin")))
        .order_by(Membership.user_id)
        .limit(_MOST_RECIPIENTS)
    )
    return tuple(dict.fromkeys((row.created_by, *administrators)))[:_MOST_RECIPIENTS]


async def fail(uow: UnitOfWork, row: ScheduledPost, *, code: str, message: str) -> None:
    """End a publication: the network does not have the post."""
    transition(row, PostStatus.FAILED)
    row.failure_code, row.failure_message = code, message[:_MOST_TEXT]
    generation = len(await attempts_of(uow, row))
    await uow.publish(
        PostPublishFailed(scheduled_post_id=row.id, generation=generation, audience=await audience(uow, row), code=code)
    )
    await tell_endpoints(uow, "post.failed", {"scheduled_post_id": str(row.id), "code": code})


async def leave_unconfirmed(uow: UnitOfWork, row: ScheduledPost, *, code: str, message: str) -> None:
    """End a publication of which nobody can tell whether the network has the post."""
    transition(row, PostStatus.UNCONFIRMED)
    row.failure_code, row.failure_message = code, message[:_MOST_TEXT]
    generation = len(await attempts_of(uow, row))
    await uow.publish(
        PostPublishUnconfirmed(scheduled_post_id=row.id, generation=generation, audience=await audience(uow, row))
    )
    await tell_endpoints(uow, "post.unconfirmed", {"scheduled_post_id": str(row.id), "code": code})
