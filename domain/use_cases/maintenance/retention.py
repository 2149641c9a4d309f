"""How long each kind of thing is kept. One table; the database's clock decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, null, select, text

from domain import models as m

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import SQLColumnExpression, TextClause

    from domain.jobs.maintenance import Retention


@dataclass(frozen=True, slots=True)
class Policy:
    """Which rows of a table are over, and what becomes of them."""

    model: type[m.Base]
    over: ColumnElement[bool]
    oldest: SQLColumnExpression[datetime | None]
    """What the oldest come first by. An index has to hold it, and leave out what stays although it is old: else each
    batch walks past all that stays."""
    blank: Mapping[str, Any] | None = None
    """The columns that are emptied; None: the row goes."""
    objects: tuple[str, ...] = ()
    """The columns that name stored objects: each gets a tombstone in the transaction that lets go of it."""


def _older(
    model: type[m.Base],
    oldest: SQLColumnExpression[datetime | None],
    days: int,
    *also: ColumnElement[bool] | TextClause,
    blank: Mapping[str, Any] | None = None,
    objects: tuple[str, ...] = (),
) -> Policy:
    """Make a policy. ``also`` is written as in the index: with parameters no prepared plan could tell that it fits."""
    # in a subquery it is read once, so that an index serves; a bare volatile call is made for every row
    now = select(func.clock_timestamp()).scalar_subquery()
    return Policy(model, and_(oldest < now - timedelta(days=days), *also), oldest, blank, objects)


# the index is asked first; whoever attached a file and did not say so there has the last word
_UNATTACHED: Final = and_(
    ~exists().where(m.PostMedia.media_id == m.Media.id), ~exists().where(m.RemoteMedia.media_id == m.Media.id)
)

POLICIES: Final[Mapping[Retention, Policy]] = {
    "sessions": _older(m.UserSession, m.UserSession.expires_at, 30),
    "user_tokens": _older(m.UserToken, func.least(m.UserToken.expires_at, m.UserToken.used_at), 7),  # NULL is no time
    "account_connections": _older(m.AccountConnection, m.AccountConnection.expires_at, 7),
    "invitations": _older(m.Invitation, m.Invitation.expires_at, 7),
    "idempotency_keys": _older(m.IdempotencyKey, m.IdempotencyKey.expires_at, 0),
    "webhook_bodies": _older(
        m.WebhookEvent, m.WebhookEvent.created_at, 7, m.WebhookEvent.body.is_not(None), blank={"body": None}
    ),
    "webhook_events": _older(m.WebhookEvent, m.WebhookEvent.created_at, 30),  # its deliveries go with it
    "stripe_payloads": _older(
        m.StripeEvent,
        m.StripeEvent.received_at,
        90,
        text("payload IS NOT NULL AND status <> 'received'"),
        blank={"payload": null()},
    ),
    "stripe_events": _older(m.StripeEvent, m.StripeEvent.received_at, 400),
    "reports": _older(m.Report, m.Report.expires_at, 30, objects=("storage_key",)),
    "unattached_media": _older(
        m.Media,
        m.Media.created_at,
        7,
        text("NOT attached AND scan_status NOT IN ('infected', 'rejected')"),
        _UNATTACHED,
        objects=("storage_key", "thumbnail_key"),
    ),
    # the row stays: its hash is how the same file is known again
    "quarantine": _older(
        m.Media,
        m.Media.scanned_at,
        30,
        text("scan_status IN ('infected', 'rejected') AND deleted_at IS NULL"),
        blank={"deleted_at": func.clock_timestamp()},
        objects=("storage_key",),
    ),
    "read_notifications": _older(m.Notification, m.Notification.read_at, 90),
    "unread_notifications": _older(m.Notification, m.Notification.created_at, 365),
    "post_metrics_raw": _older(m.PostMetrics, m.PostMetrics.captured_at, 90, text("raw <> '{}'"), blank={"raw": {}}),
    "post_metrics": _older(m.PostMetrics, m.PostMetrics.captured_at, 400),
    "account_metrics_raw": _older(
        m.AccountMetrics, m.AccountMetrics.captured_at, 90, text("raw <> '{}'"), blank={"raw": {}}
    ),
    "account_metrics": _older(m.AccountMetrics, m.AccountMetrics.captured_at, 400),
    # one without an outcome says that a post may be online: it stays as long as nobody has found out
    "publish_attempts": _older(
        m.PublishAttempt, m.PublishAttempt.started_at, 180, m.PublishAttempt.outcome.is_not(None)
    ),
    "email_messages": _older(m.EmailMessage, m.EmailMessage.created_at, 90),
    "audit": _older(m.AuditEntry, m.AuditEntry.at, 5 * 365),
}
