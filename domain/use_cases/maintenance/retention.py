"""How long each kind of thing is kept. One table; the database's clock decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, null, or_

from domain import models as m

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import InstrumentedAttribute

    from domain.jobs.maintenance import Retention


@dataclass(frozen=True, slots=True)
class Policy:
    """Which rows of a table are over, and what becomes of them."""

    model: type[m.Base]
    over: ColumnElement[bool]
    blank: Mapping[str, Any] | None = None
    """The columns that are emptied; None: the row goes."""
    objects: tuple[str, ...] = ()
    """The columns that name stored objects: each gets a tombstone in the transaction that lets go of it."""


def _before(column: InstrumentedAttribute[Any], days: int) -> ColumnElement[bool]:
    return column < func.clock_timestamp() - timedelta(days=days)


_UNATTACHED: Final = and_(
    ~exists().where(m.PostMedia.media_id == m.Media.id), ~exists().where(m.RemoteMedia.media_id == m.Media.id)
)
_IN_QUARANTINE: Final = m.Media.scan_status.in_([m.ScanStatus.INFECTED, m.ScanStatus.REJECTED])

POLICIES: Final[Mapping[Retention, Policy]] = {
    "sessions": Policy(m.UserSession, _before(m.UserSession.expires_at, 30)),
    "user_tokens": Policy(m.UserToken, or_(_before(m.UserToken.expires_at, 7), _before(m.UserToken.used_at, 7))),
    "account_connections": Policy(m.AccountConnection, _before(m.AccountConnection.expires_at, 7)),
    "invitations": Policy(m.Invitation, _before(m.Invitation.expires_at, 7)),
    "idempotency_keys": Policy(m.IdempotencyKey, _before(m.IdempotencyKey.expires_at, 0)),
    "webhook_bodies": Policy(
        m.WebhookEvent,
        and_(_before(m.WebhookEvent.created_at, 7), m.WebhookEvent.body.is_not(None)),
        blank={"body": None},
    ),
    "webhook_events": Policy(m.WebhookEvent, _before(m.WebhookEvent.created_at, 30)),  # its deliveries go with it
    "stripe_payloads": Policy(
        m.StripeEvent,
        and_(
            _before(m.StripeEvent.received_at, 90),
            m.StripeEvent.payload.is_not(None),
            m.StripeEvent.status != m.StripeEventStatus.RECEIVED,
        ),
        blank={"payload": null()},
    ),
    "stripe_events": Policy(m.StripeEvent, _before(m.StripeEvent.received_at, 400)),
    "reports": Policy(m.Report, _before(m.Report.expires_at, 30), objects=("storage_key",)),
    "unattached_media": Policy(
        m.Media,
        and_(_before(m.Media.created_at, 7), _UNATTACHED, ~_IN_QUARANTINE),
        objects=("storage_key", "thumbnail_key"),
    ),
    # the row stays: its hash is how the same file is known again
    "quarantine": Policy(
        m.Media,
        and_(_IN_QUARANTINE, _before(m.Media.scanned_at, 30), m.Media.deleted_at.is_(None)),
        blank={"deleted_at": func.clock_timestamp()},
        objects=("storage_key",),
    ),
    "read_notifications": Policy(m.Notification, _before(m.Notification.read_at, 90)),
    "unread_notifications": Policy(m.Notification, _before(m.Notification.created_at, 365)),
    "post_metrics_raw": Policy(
        m.PostMetrics, and_(_before(m.PostMetrics.captured_at, 90), m.PostMetrics.raw != {}), blank={"raw": {}}
    ),
    "post_metrics": Policy(m.PostMetrics, _before(m.PostMetrics.captured_at, 400)),
    "account_metrics_raw": Policy(
        m.AccountMetrics,
        and_(_before(m.AccountMetrics.captured_at, 90), m.AccountMetrics.raw != {}),
        blank={"raw": {}},
    ),
    "account_metrics": Policy(m.AccountMetrics, _before(m.AccountMetrics.captured_at, 400)),
    # one without an outcome says that a post may be online: it stays as long as nobody has found out
    "publish_attempts": Policy(
        m.PublishAttempt, and_(_before(m.PublishAttempt.started_at, 180), m.PublishAttempt.outcome.is_not(None))
    ),
    "email_messages": Policy(m.EmailMessage, _before(m.EmailMessage.created_at, 90)),
    "audit": Policy(m.AuditEntry, _before(m.AuditEntry.at, 5 * 365)),
}
