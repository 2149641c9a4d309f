"""Which state may follow which. `transition` is the only place where a status changes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Protocol

Moves = Mapping[str, frozenset[str]]
# The tables of a row, by the column that each one rules.
Machines = Mapping[str, Moves]


class OrganizationStatus(StrEnum):
    """Whether a tenant may work."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    PENDING_DELETION = "pending_deletion"
    DELETED = "deleted"


class UserStatus(StrEnum):
    """Whether a person may sign in."""

    PENDING = "pending"
    ACTIVE = "active"
    BANNED = "banned"
    PENDING_DELETION = "pending_deletion"
    ANONYMIZED = "anonymized"


class DeletionStatus(StrEnum):
    """How far the deletion of an account has come."""

    PENDING = "pending"
    CANCELED = "canceled"
    RUNNING = "running"
    DONE = "done"


class AccountStatus(StrEnum):
    """Whether an account may be used."""

    ACTIVE = "active"
    NEEDS_REAUTH = "needs_reauth"
    DISABLED = "disabled"
    REVOKED = "revoked"


class ScanStatus(StrEnum):
    """What the scan says of an upload; only `CLEAN` may be published."""

    PENDING = "pending"
    CLEAN = "clean"
    INFECTED = "infected"
    REJECTED = "rejected"


class ThumbnailStatus(StrEnum):
    """Whether an upload has a small picture."""

    NONE = "none"
    READY = "ready"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


class PostStatus(StrEnum):
    """Where one post on one account stands."""

    SCHEDULED = "scheduled"
    DISPATCHED = "dispatched"
    PUBLISHING = "publishing"
    PROCESSING = "processing"
    PUBLISHED = "published"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    PAUSED = "paused"
    MISSED = "missed"
    CANCELED = "canceled"


class RemoteMediaStatus(StrEnum):
    """What a network has made of a file that we gave it."""

    UPLOADED = "uploaded"
    PROCESSING = "processing"
    READY = "ready"
    EXPIRED = "expired"


class SubscriptionStatus(StrEnum):
    """Stripe's own words."""

    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    CANCELED = "canceled"


class StripeEventStatus(StrEnum):
    """What became of an event that Stripe told us."""

    RECEIVED = "received"
    PROCESSED = "processed"
    IGNORED = "ignored"
    FAILED = "failed"


class UsageReportStatus(StrEnum):
    """Whether Stripe has a total."""

    PENDING = "pending"
    SENT = "sent"
    REJECTED = "rejected"


class EndpointStatus(StrEnum):
    """Whether a webhook endpoint is called, and if not, whose doing that is."""

    ACTIVE = "active"
    DISABLED_BY_USER = "disabled_by_user"
    DISABLED_FAILING = "disabled_failing"
    DISABLED_GONE = "disabled_gone"
    DISABLED_BLOCKED = "disabled_blocked"
    DISABLED_PLAN = "disabled_plan"


class DeliveryStatus(StrEnum):
    """Whether an endpoint has an event."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    SKIPPED = "skipped"


class ReportStatus(StrEnum):
    """Whether a report can be fetched."""

    REQUESTED = "requested"
    READY = "ready"
    FAILED = "failed"
    EXPIRED = "expired"


class EmailStatus(StrEnum):
    """How far one e-mail has come."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    BOUNCED = "bounced"
    SUPPRESSED = "suppressed"


def _table(**moves: str) -> Moves:
    return {state: frozenset(after.split()) for state, after in moves.items()}


ORGANIZATION_MOVES = _table(
    active="suspended pending_deletion",  # straight to deletion when its only member leaves
    suspended="active pending_deletion",
    pending_deletion="active deleted",
    deleted="",
)

USER_MOVES = _table(
    pending="active",
    active="banned pending_deletion",
    banned="active",
    pending_deletion="active anonymized",
    anonymized="",
)

DELETION_MOVES = _table(pending="canceled running", running="done", canceled="", done="")

ACCOUNT_MOVES = _table(
    active="needs_reauth disabled revoked",
    needs_reauth="active revoked",
    disabled="active revoked",
    revoked="",
)

SCAN_MOVES = _table(pending="clean infected rejected", clean="", infected="", rejected="")

THUMBNAIL_MOVES = _table(none="ready unsupported failed", ready="", unsupported="", failed="")

POST_MOVES = _table(
    scheduled="dispatched paused missed canceled failed",  # failed: a file of it was found infected
    dispatched="publishing failed unconfirmed missed paused",
    publishing="processing published failed unconfirmed",
    processing="publishing published failed unconfirmed",
    published="",
    failed="dispatched canceled",
    unconfirmed="dispatched published",
    paused="scheduled missed canceled",
    missed="scheduled canceled",
    canceled="",
)

REMOTE_MEDIA_MOVES = _table(
    uploaded="processing ready expired",
    processing="ready expired",
    ready="expired",
    expired="uploaded",
)

# Stripe decides, and we may have missed a step: between the states of a living subscription every move is possible.
SUBSCRIPTION_MOVES = _table(
    incomplete="incomplete_expired trialing active past_due unpaid paused canceled",
    trialing="active past_due unpaid paused canceled",
    active="trialing past_due unpaid paused canceled",
    past_due="trialing active unpaid paused canceled",
    unpaid="trialing active past_due paused canceled",
    paused="trialing active past_due unpaid canceled",
    incomplete_expired="",
    canceled="",
)

STRIPE_EVENT_MOVES = _table(received="processed ignored failed", failed="received", processed="", ignored="")

USAGE_REPORT_MOVES = _table(pending="sent rejected", sent="", rejected="")

ENDPOINT_MOVES = _table(
    active="disabled_by_user disabled_failing disabled_gone disabled_blocked disabled_plan",
    disabled_by_user="active",
    disabled_failing="active disabled_by_user",
    disabled_gone="active disabled_by_user",
    disabled_blocked="active disabled_by_user",
    disabled_plan="active disabled_by_user",
)

DELIVERY_MOVES = _table(pending="delivered failed skipped", failed="pending", delivered="", skipped="")

# failed → requested: the dead job of a report was requeued
REPORT_MOVES = _table(requested="ready failed", ready="expired", failed="requested", expired="")

EMAIL_MOVES = _table(
    pending="sending suppressed",
    sending="sent bounced pending",
    sent="",
    bounced="",
    suppressed="",
)


class Stateful(Protocol):
    """A row with columns that hold a state, and the table of moves of each."""

    MOVES: ClassVar[Machines]


class IllegalTransition(Exception):
    """A state that may not follow the present one."""

    def __init__(self, row: Stateful, to: str, column: str) -> None:
        now = getattr(row, column)
        allowed = ", ".join(sorted(row.MOVES[column][now])) or "nothing (it is final)"
        what = type(row).__name__ + ("" if column == "status" else f".{column}")
        super().__init__(f"{what} cannot go from {now} to {to}; allowed: {allowed}")


def transition(row: Stateful, to: str, *, column: str = "status") -> None:
    """Move the row to another state, or raise `IllegalTransition`."""
    if to not in row.MOVES[column][getattr(row, column)]:
        raise IllegalTransition(row, to, column)
    setattr(row, column, str(to))
