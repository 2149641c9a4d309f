"""Which state may follow which. `transition` is the only place where a status changes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


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


class AccountStatus(StrEnum):
    """Whether an account may be used."""

    ACTIVE = "active"
    NEEDS_REAUTH = "needs_reauth"
    DISABLED = "disabled"
    REVOKED = "revoked"


class EmailStatus(StrEnum):
    """How far one e-mail has come."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    BOUNCED = "bounced"


def _table(**moves: str) -> Mapping[str, frozenset[str]]:
    return {state: frozenset(after.split()) for state, after in moves.items()}


POST_MOVES = _table(
    scheduled="dispatched paused missed canceled",
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

ACCOUNT_MOVES = _table(
    active="needs_reauth disabled revoked",
    needs_reauth="active revoked",
    disabled="active revoked",
    revoked="",
)

EMAIL_MOVES = _table(
    pending="sending",
    sending="sent bounced pending",
    sent="",
    bounced="",
)


class Stateful(Protocol):
    """A row with a status and the table of its moves."""

    MOVES: ClassVar[Mapping[str, frozenset[str]]]
    status: str


class IllegalTransition(Exception):
    """A status that may not follow the present one."""

    def __init__(self, row: Stateful, to: str) -> None:
        allowed = ", ".join(sorted(row.MOVES[row.status])) or "nothing (it is final)"
        super().__init__(f"{type(row).__name__} cannot go from {row.status} to {to}; allowed: {allowed}")


def transition(row: Stateful, to: str) -> None:
    """Move the row to another status, or raise `IllegalTransition`."""
    if to not in row.MOVES[row.status]:
        raise IllegalTransition(row, to)
    row.status = str(to)
