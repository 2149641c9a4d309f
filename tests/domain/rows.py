"""A tenant with a row in every table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from domain import models as m

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
SOON = NOW + timedelta(days=30)
HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class Rows:
    """The ids that other rows point to."""

    organization_id: UUID
    user_id: UUID


def a_tenant(session: Session, name: str) -> Rows:
    """Write a row into every table of the domain, all of one tenant."""
    organization = m.Organization(id=m.new_id(), name=name, slug=name)
    user = m.User(id=m.new_id(), email=f"ana@{name}.example")
    _add(session, organization, user)
    rows = Rows(organization.id, user.id)
    _identity(session, rows)
    scheduled = _content(session, rows)
    _analytics(session, rows, scheduled)
    _billing(session, rows, name)
    _integration(session, rows)
    _notifications(session, rows, name)
    return rows


def _add(session: Session, *rows: m.Base) -> None:
    for row in rows:
        session.add(row)
        session.flush()


def _identity(session: Session, of: Rows) -> None:
    _add(
        session,
        m.Membership(organization_id=of.organization_id, user_id=of.user_id, role="owner"),
        m.Invitation(
            organization_id=of.organization_id,
            email="rui@convidado.example",
            role="editor",
            invited_by=of.user_id,
            expires_at=SOON,
        ),
        m.UserSession(user_id=of.user_id, token_hash=of.user_id.bytes, epoch=0, expires_at=SOON),
        m.UserToken(user_id=of.user_id, purpose="verify_email", email_fingerprint=HASH, expires_at=SOON),
        m.AccountDeletion(user_id=of.user_id, requested_at=NOW, due_at=SOON),
    )


def _account(of: Rows) -> m.SocialAccount:
    return m.SocialAccount(
        id=m.new_id(),
        organization_id=of.organization_id,
        provider="bluesky",
        base_url="https://network.example",
        external_id="1",
        handle="@ana",
        connected_by=of.user_id,
        credentials="sealed",
        credentials_kid="k1",
    )


def _content(session: Session, of: Rows) -> m.ScheduledPost:
    account = _account(of)
    media = m.Media(
        id=m.new_id(),
        organization_id=of.organization_id,
        uploaded_by=of.user_id,
        storage_key=f"media/{uuid4()}",
        filename="pão.jpg",
        declared_type="image/jpeg",
        byte_size=3,
    )
    post = m.Post(id=m.new_id(), organization_id=of.organization_id, author_id=of.user_id, body="olá")
    scheduled = m.ScheduledPost(
        id=m.new_id(),
        organization_id=of.organization_id,
        post_id=post.id,
        social_account_id=account.id,
        created_by=of.user_id,
        scheduled_at=NOW,
    )
    part = {"organization_id": of.organization_id, "scheduled_post_id": scheduled.id}
    _add(
        session,
        account,
        m.AccountConnection(
            organization_id=of.organization_id,
            user_id=of.user_id,
            provider="bluesky",
            base_url="https://network.example",
            state_hash=uuid4().bytes,
            expires_at=SOON,
        ),
        m.ProviderApp(
            provider="mastodon",
            base_url=f"https://{of.organization_id}.example",
            client_id="c",
            client_secret="sealed",
            client_secret_kid="k1",
        ),
        m.ProviderThrottle(scope=f"bluesky:account:{account.id}"),
        media,
        post,
        m.PostMedia(organization_id=of.organization_id, post_id=post.id, media_id=media.id, position=0),
        m.ObjectTombstone(storage_key=f"media/{uuid4()}", organization_id=of.organization_id, reason="unattached"),
        scheduled,
        m.PublishAttempt(**part, attempt=1, phase="create", trace_id=uuid4()),
        m.RemoteMedia(**part, media_id=media.id, remote_ref={"id": "7"}),
    )
    return scheduled


def _analytics(session: Session, of: Rows, scheduled: m.ScheduledPost) -> None:
    comment = m.Comment(
        id=m.new_id(),
        organization_id=of.organization_id,
        scheduled_post_id=scheduled.id,
        external_id="c1",
        author_external_id="9",
        author_handle="@bia",
        body_text="que bom",
        posted_at=NOW,
    )
    _add(
        session,
        comment,
        m.PostMetrics(
            organization_id=of.organization_id, scheduled_post_id=scheduled.id, bucket=NOW, captured_at=NOW, likes=3
        ),
        m.AccountMetrics(
            organization_id=of.organization_id,
            social_account_id=scheduled.social_account_id,
            day=NOW.date(),
            captured_at=NOW,
        ),
        an_embedding(of, "post", scheduled.post_id),
        an_embedding(of, "comment", comment.id),
    )


def an_embedding(of: Rows, subject_type: str, subject_id: UUID, *, dimensions: int = m.DIMENSIONS) -> m.Embedding:
    return m.Embedding(
        organization_id=of.organization_id,
        subject_type=subject_type,
        subject_id=subject_id,
        model="hashing",
        content_hash=HASH,
        embedding=[0.5] * dimensions,
    )


def a_subscription(of: Rows, stripe_id: str, status: str = "active") -> m.Subscription:
    return m.Subscription(
        organization_id=of.organization_id,
        stripe_subscription_id=stripe_id,
        stripe_customer_id="cus_1",
        status=status,
        plan="pro",
        synced_at=NOW,
    )


def _billing(session: Session, of: Rows, name: str) -> None:
    period = {"organization_id": of.organization_id, "metric": "posts", "period_start": NOW.date()}
    _add(
        session,
        a_subscription(of, f"sub_{name}"),
        m.StripeEvent(
            id=f"evt_{name}",
            type="invoice.paid",
            livemode=False,
            created=NOW,
            organization_id=of.organization_id,
            payload={},
        ),
        m.UsageEvent(
            organization_id=of.organization_id,
            metric="posts",
            source_type="scheduled_post",
            source_id=uuid4(),
            quantity=1,
            occurred_at=NOW,
        ),
        m.UsageRecord(**period, period_end=SOON.date(), quantity=1),
        m.UsageReport(**period, seq=1, identifier=f"{name}-1", total=1, event_time=NOW),
    )


def a_report(of: Rows, kind: str = "engagement") -> m.Report:
    return m.Report(
        organization_id=of.organization_id,
        requested_by=of.user_id,
        kind=kind,
        format="pdf",
        period_start=NOW.date(),
        period_end=NOW.date(),
        as_of=NOW,
    )


def _integration(session: Session, of: Rows) -> None:
    endpoint = m.WebhookEndpoint(
        id=m.new_id(),
        organization_id=of.organization_id,
        url="https://customer.example/hook",
        secret="sealed",
        secret_kid="k1",
    )
    event = m.WebhookEvent(
        id=f"msg_{uuid4().hex}", organization_id=of.organization_id, type="post.published", body="{}", occurred_at=NOW
    )
    _add(
        session,
        endpoint,
        event,
        m.WebhookDelivery(organization_id=of.organization_id, event_id=event.id, endpoint_id=endpoint.id),
        a_report(of),
    )


def _notifications(session: Session, of: Rows, name: str) -> None:
    both = {"organization_id": of.organization_id, "user_id": of.user_id}
    _add(
        session,
        m.Notification(**both, kind="post.published", dedupe_key="n1", title="Publicado"),
        m.NotificationPreference(user_id=of.user_id, kind="post.published", channel="email", enabled=False),
        m.EmailMessage(
            **both,
            dedupe_key=f"mail-{name}",
            template="verify",
            recipient_fingerprint=HASH,
            message_id=f"<{name}@example>",
        ),
        m.IdempotencyKey(**both, key="k", operation="POST /posts", request_hash=HASH, expires_at=SOON),
        m.AuditEntry(
            organization_id=of.organization_id,
            actor_id=of.user_id,
            actor_kind="user",
            action="post.scheduled",
            subject_type="post",
            subject_id="1",
            correlation_id=uuid4(),
            trace_id=uuid4(),
        ),
    )
