"""Who uses the product: organizations (the tenants), users, which user belongs where, and how they sign in."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.models.base import Address, Base, CreatedAt, Id, UpdatedAt, Words, needs, one_of
from domain.models.plans import Plan
from domain.models.roles import Role
from domain.models.states import (
    DELETION_MOVES,
    ORGANIZATION_MOVES,
    USER_MOVES,
    DeletionStatus,
    Machines,
    OrganizationStatus,
    UserStatus,
)


class Organization(Base):
    """A tenant. Every row of the others carries its id."""

    MOVES: ClassVar[Machines] = {"status": ORGANIZATION_MOVES}
    __tablename__ = "organizations"
    __table_args__ = (
        one_of("status", OrganizationStatus),
        one_of("plan", Plan),
        needs("suspended", "suspended_at", "suspension_id"),
        needs("pending_deletion", "deletion_due_at"),
        Index("organizations_suspended", "suspended_at", postgresql_where=text("status = 'suspended'")),
        Index("organizations_deletion_due", "deletion_due_at", postgresql_where=text("status = 'pending_deletion'")),
    )

    id: Mapped[Id]
    name: Mapped[str]
    slug: Mapped[str] = mapped_column(unique=True)
    timezone: Mapped[str] = mapped_column(default="UTC", server_default="UTC")
    locale: Mapped[str] = mapped_column(default="pt-BR", server_default="pt-BR")
    status: Mapped[str] = mapped_column(default=OrganizationStatus.ACTIVE.value, server_default="active")
    plan: Mapped[str] = mapped_column(default=Plan.FREE.value, server_default="free")
    suspension_id: Mapped[UUID | None]  # a new one for each suspension: an old job must not act on a later one
    suspended_at: Mapped[datetime | None]
    suspension_reason: Mapped[str | None]
    deletion_due_at: Mapped[datetime | None]
    stripe_customer_id: Mapped[str | None] = mapped_column(unique=True)
    retry_after_reconnect: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class User(Base):
    """A person."""

    MOVES: ClassVar[Machines] = {"status": USER_MOVES}
    __tablename__ = "users"
    __table_args__ = (
        one_of("status", UserStatus),
        needs("pending_deletion", "deletion_due_at"),
        needs("banned", "banned_at"),
        needs("anonymized", "anonymized_at"),
        Index("users_email", text("lower(email)"), unique=True),
        Index("users_deletion_due", "deletion_due_at", postgresql_where=text("status = 'pending_deletion'")),
    )

    id: Mapped[Id]
    email: Mapped[str]
    pending_email: Mapped[str | None]  # asked for, not verified yet
    email_verified_at: Mapped[datetime | None]
    name: Mapped[str] = mapped_column(default="", server_default="")
    password_hash: Mapped[str | None]
    locale: Mapped[str] = mapped_column(default="pt-BR", server_default="pt-BR")
    status: Mapped[str] = mapped_column(default=UserStatus.PENDING.value, server_default="pending")
    is_operator: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # compared on every request: raising it ends all sessions with the commit that raises it
    session_epoch: Mapped[int] = mapped_column(default=0, server_default="0")
    # part of every mailed token: changing it ends them all
    security_stamp: Mapped[UUID] = mapped_column(server_default=text("gen_random_uuid()"))
    banned_at: Mapped[datetime | None]
    ban_reason: Mapped[str | None]
    deletion_requested_at: Mapped[datetime | None]
    deletion_due_at: Mapped[datetime | None]
    anonymized_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class Membership(Base):
    """A user's role in an organization."""

    __tablename__ = "memberships"
    __table_args__ = (one_of("role", Role),)

    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), primary_key=True, index=True)
    role: Mapped[str]
    created_at: Mapped[CreatedAt]


class Invitation(Base):
    """An address that may join an organization. Accepted or withdrawn it is gone: the audit log tells of it.

    It needs no secret: whoever has verified the address is meant.
    """

    __tablename__ = "invitations"
    __table_args__ = (
        one_of("role", Role),
        UniqueConstraint("organization_id", "email"),
        CheckConstraint("email = lower(email)", name="email_in_lower_case"),
        Index("invitations_of_address", "email"),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id))
    email: Mapped[str]
    role: Mapped[str]
    invited_by: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class UserSession(Base):
    """A sign-in. It is good while it is not revoked, not over, and of the user's present epoch."""

    __tablename__ = "sessions"
    __table_args__ = (Index("sessions_live", "user_id", postgresql_where=text("revoked_at IS NULL")),)

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    epoch: Mapped[int]
    ip: Mapped[Address | None]
    user_agent: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    last_seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str | None]


class UserToken(Base):
    """A link by e-mail. Its secret is recomputed from id and security stamp, so that it is stored nowhere.

    Written for unknown addresses as well (``user_id`` NULL): neither the answer nor its time tells who is known.
    """

    __tablename__ = "user_tokens"
    __table_args__ = (
        one_of("purpose", ("verify_email", "reset_password")),
        Index("user_tokens_of_address", "email_fingerprint", "purpose", text("created_at DESC")),
        Index("user_tokens_of_ip", "requested_ip", text("created_at DESC")),
        Index("user_tokens_over", text("LEAST(expires_at, used_at)")),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    purpose: Mapped[str]
    email_fingerprint: Mapped[bytes]
    requested_ip: Mapped[Address | None]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]  # a later token or a ban took its place


class AccountDeletion(Base):
    """A user's wish to be forgotten, and the steps that are done: a crash goes on where it stopped."""

    MOVES: ClassVar[Machines] = {"status": DELETION_MOVES}
    __tablename__ = "account_deletions"
    __table_args__ = (
        one_of("status", DeletionStatus),
        needs("canceled", "canceled_at"),
        needs("done", "finished_at", "evidence"),
        CheckConstraint("due_at >= requested_at", name="due_after_the_request"),
        Index(
            "account_deletions_open",
            "user_id",
            unique=True,
            postgresql_where=text("status IN ('pending', 'running')"),
        ),
        Index("account_deletions_due", "due_at", postgresql_where=text("status IN ('pending', 'running')")),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    requested_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    due_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(default=DeletionStatus.PENDING.value, server_default="pending")
    steps_done: Mapped[Words]
    canceled_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    evidence: Mapped[dict[str, Any] | None]  # counts by table, nothing personal
