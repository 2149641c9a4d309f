"""Organizations and users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRegistered:
    """Somebody signed up and has to verify the address."""

    user_id: UUID
    user_token_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChanged:
    """A user wants another address, which has to be verified."""

    user_id: UUID
    user_token_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailVerified:
    """An address belongs to its user."""

    user_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordResetRequested:
    """Somebody asked for a new password, whether or not the address is known."""

    user_token_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged:
    """A user has a new password; sessions of earlier epochs are over."""

    user_id: UUID
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserBanned:
    """A user may not sign in any more."""

    user_id: UUID
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserReinstated:
    """A user may sign in again."""

    user_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsInvalidated:
    """What a user was signed in with is revoked."""

    user_id: UUID
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDeletionRequested:
    """A user wants to be forgotten at ``due_at``."""

    deletion_id: UUID
    user_id: UUID
    epoch: int
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDeletionCanceled:
    """A user stays."""

    deletion_id: UUID
    user_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAnonymized:
    """A user is forgotten."""

    deletion_id: UUID
    user_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgSuspended:
    """An organization may not work any more."""

    organization_id: UUID
    suspension_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgReinstated:
    """An organization may work again."""

    organization_id: UUID
    suspension_id: UUID
    """The suspension that is over."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgMarkedForDeletion:
    """An organization will be deleted at ``due_at`` unless somebody objects."""

    organization_id: UUID
    due_at: datetime
