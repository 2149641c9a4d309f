"""Who reacts to what: the whole choreography in one table. Listeners only dispatch jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from domain.events import (
    AccountDeletionRequested,
    CommentsCaptured,
    EmailChanged,
    GraceExpired,
    MediaCleared,
    MediaUploaded,
    NoticeLeft,
    OrgReinstated,
    OrgSuspended,
    OutgoingEvent,
    PasswordChanged,
    PasswordResetRequested,
    PostEdited,
    PostPublished,
    PostPublishFailed,
    PostPublishUnconfirmed,
    ReportRequested,
    SocialAccountConnected,
    SocialAccountNeedsReauth,
    SocialAccountReconnected,
    SocialAccountRevoked,
    StripeEventReceived,
    SubscriptionCanceled,
    UserBanned,
    UserRegistered,
    WebhookDeliveriesReplayed,
)
from domain.listeners import analytics, billing, identity, integration, media, notifications, publishing

if TYPE_CHECKING:
    from domain.events import Event
    from domain.unit_of_work import UnitOfWork

# A listener names the one event that it takes; the table's key is that event.
Reaction = Callable[..., Awaitable[None]]

LISTENERS: Mapping[type[Any], Sequence[Reaction]] = {
    # publishing
    PostPublished: [publishing.tell_of_success, analytics.follow_post],
    PostPublishFailed: [publishing.tell_of_failure],
    PostPublishUnconfirmed: [publishing.tell_of_doubt],
    # accounts
    SocialAccountNeedsReauth: [publishing.posts_of_account],
    SocialAccountReconnected: [publishing.posts_of_account],
    SocialAccountRevoked: [publishing.posts_of_account],
    # identity and administration
    UserRegistered: [identity.verify_address],
    EmailChanged: [identity.verify_new_address],
    PasswordResetRequested: [identity.send_reset],
    PasswordChanged: [identity.end_sessions_of_old_password],
    UserBanned: [identity.end_sessions_of_banned],
    OrgSuspended: [identity.pause_posts],
    OrgReinstated: [identity.let_posts_go_on],
    AccountDeletionRequested: [identity.end_sessions_of_leaver, identity.delete_when_due],
    # billing
    StripeEventReceived: [billing.process],
    GraceExpired: [billing.downgrade_after_grace],
    SubscriptionCanceled: [billing.downgrade_at_the_end],
    # webhooks and reports
    OutgoingEvent: [integration.deliver],
    WebhookDeliveriesReplayed: [integration.deliver_again],
    ReportRequested: [integration.generate],
    # media
    MediaUploaded: [media.scan],
    MediaCleared: [media.make_small, publishing.resume_with_media],
    # notices
    NoticeLeft: [notifications.mail],
    # analytics
    PostEdited: [analytics.embed_post],
    CommentsCaptured: [analytics.embed_comments],
    SocialAccountConnected: [analytics.follow_account],
}


async def listen(uow: UnitOfWork, event: Event) -> None:
    """React to an event inside the transaction that caused it."""
    for react in LISTENERS.get(type(event), ()):
        await react(uow, event)
