"""What a smaller plan takes and a larger one gives back. Nothing is deleted: things are switched off and on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from domain.events import PostsPaused, PostsResumed, SocialAccountDisabled, WebhookEndpointDisabled
from domain.models import (
    AccountStatus,
    EndpointStatus,
    PostStatus,
    ScheduledPost,
    SocialAccount,
    WebhookEndpoint,
    limits_of,
    transition,
)
from domain.use_cases.clock import database_now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from domain.models import Organization
    from domain.unit_of_work import UnitOfWork

REASON = "plan_limit"


class PlanLimit(Exception):
    """The plan does not allow one more; the message says of what, and how many it allows."""


async def restrict(uow: UnitOfWork, organization: Organization) -> None:
    """Switch off what is above the limits of the organization's plan."""
    limits = limits_of(organization.plan)
    surplus = (await _accounts(uow, AccountStatus.ACTIVE))[limits.social_accounts :]
    for account in surplus:
        transition(account, AccountStatus.DISABLED)
        account.status_reason = REASON
        await uow.publish(SocialAccountDisabled(social_account_id=account.id))
    await _pause(uow, [account.id for account in surplus])
    for endpoint in (await _endpoints(uow, EndpointStatus.ACTIVE))[limits.webhook_endpoints :]:
        transition(endpoint, EndpointStatus.DISABLED_PLAN)
        await uow.publish(WebhookEndpointDisabled(endpoint_id=endpoint.id, reason=REASON))


async def restore(uow: UnitOfWork, organization: Organization) -> None:
    """Switch on again what was above the limits, as far as the organization's plan allows it now."""
    limits = limits_of(organization.plan)
    active = len(await _accounts(uow, AccountStatus.ACTIVE))
    taken = [each for each in await _accounts(uow, AccountStatus.DISABLED) if each.status_reason == REASON]
    returned = taken[: max(limits.social_accounts - active, 0)]
    for account in returned:
        transition(account, AccountStatus.ACTIVE)
        account.status_reason = None
    await _resume(uow, [account.id for account in returned])
    active = len(await _endpoints(uow, EndpointStatus.ACTIVE))
    for endpoint in (await _endpoints(uow, EndpointStatus.DISABLED_PLAN))[: max(limits.webhook_endpoints - active, 0)]:
        transition(endpoint, EndpointStatus.ACTIVE)
        endpoint.failing_since = None


async def _accounts(uow: UnitOfWork, status: AccountStatus) -> Sequence[SocialAccount]:
    """Load the accounts with this status, those that published last first."""
    last = (
        select(func.max(ScheduledPost.published_at))
        .where(ScheduledPost.social_account_id == SocialAccount.id)
        .correlate(SocialAccount)
        .scalar_subquery()
    )
    found = await uow.session.scalars(
        select(SocialAccount)
        .where(SocialAccount.organization_id == uow.organization_id, SocialAccount.status == status)
        .order_by(last.desc().nulls_last(), SocialAccount.created_at, SocialAccount.id)
        .with_for_update(of=SocialAccount)
    )
    return found.all()


async def _endpoints(uow: UnitOfWork, status: EndpointStatus) -> Sequence[WebhookEndpoint]:
    found = await uow.session.scalars(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.organization_id == uow.organization_id, WebhookEndpoint.status == status)
        .order_by(WebhookEndpoint.created_at, WebhookEndpoint.id)
        .with_for_update()
    )
    return found.all()


async def _posts(uow: UnitOfWork, account_ids: Sequence[UUID], *statuses: PostStatus) -> Sequence[ScheduledPost]:
    found = await uow.session.scalars(
        select(ScheduledPost)
        .where(
            ScheduledPost.organization_id == uow.organization_id,
            ScheduledPost.social_account_id.in_(account_ids),
            ScheduledPost.status.in_(statuses),
        )
        .order_by(ScheduledPost.id)
        .with_for_update()
    )
    return found.all()


async def _pause(uow: UnitOfWork, account_ids: Sequence[UUID]) -> None:
    posts = await _posts(uow, account_ids, PostStatus.SCHEDULED, PostStatus.DISPATCHED)
    for post in posts:
        post.paused_from, post.paused_reason = post.status, REASON
        transition(post, PostStatus.PAUSED)
    if posts:
        await uow.publish(PostsPaused(organization_id=uow.organization_id, reason=REASON, count=len(posts)))


async def _resume(uow: UnitOfWork, account_ids: Sequence[UUID]) -> None:
    posts = [post for post in await _posts(uow, account_ids, PostStatus.PAUSED) if post.paused_reason == REASON]
    now = await database_now(uow)
    missed = 0
    for post in posts:
        late = post.scheduled_at <= now  # nobody wants the posts of the time without a plan all at once
        missed += late
        transition(post, PostStatus.MISSED if late else PostStatus.SCHEDULED)
        post.paused_from = post.paused_reason = None
    if posts:
        count = len(posts) - missed
        await uow.publish(PostsResumed(organization_id=uow.organization_id, count=count, missed=missed))
