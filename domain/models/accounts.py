"""Accounts on the social networks, with their credentials sealed, and what the networks let us do."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.models.base import Base, CreatedAt, Document, Id, UpdatedAt, Words, one_of
from domain.models.identity import Organization, User
from domain.models.states import ACCOUNT_MOVES, AccountStatus, Machines

PROVIDERS = ("mastodon", "bluesky", "instagram", "linkedin")


class SocialAccount(Base):
    """One account on one network. ``credentials`` is a sealed blob that only the vault can open."""

    MOVES: ClassVar[Machines] = {"status": ACCOUNT_MOVES}
    __tablename__ = "social_accounts"
    __table_args__ = (
        one_of("provider", PROVIDERS),
        one_of("status", AccountStatus),
        # wiped when the account is revoked, and then only
        CheckConstraint("status = 'revoked' OR credentials <> ''", name="credentials_present"),
        UniqueConstraint("organization_id", "id"),
        # given up, it stays as the past of its posts, and the same account may be connected anew
        Index(
            "social_accounts_identity",
            "organization_id",
            "provider",
            "base_url",
            "external_id",
            unique=True,
            postgresql_where=text("status <> 'revoked'"),
        ),
        Index("social_accounts_expiring", "access_expires_at", postgresql_where=text("status = 'active'")),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id))
    provider: Mapped[str]
    base_url: Mapped[str]
    external_id: Mapped[str]
    handle: Mapped[str]
    display_name: Mapped[str] = mapped_column(default="", server_default="")
    avatar_url: Mapped[str | None]
    connected_by: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    status: Mapped[str] = mapped_column(default=AccountStatus.ACTIVE.value, server_default="active")
    status_reason: Mapped[str | None]
    credentials: Mapped[str]
    credentials_kid: Mapped[str] = mapped_column(index=True)
    # raised by whoever stores new credentials: of two that refresh at once the second one changes nothing
    token_version: Mapped[int] = mapped_column(default=1, server_default="1")
    access_expires_at: Mapped[datetime | None]
    refresh_expires_at: Mapped[datetime | None]
    refresh_failures: Mapped[int] = mapped_column(default=0, server_default="0")
    last_refreshed_at: Mapped[datetime | None]
    scopes: Mapped[Words]
    limits: Mapped[Document]  # what this instance or account allows: characters, media, posts a day
    last_metrics_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class AccountConnection(Base):
    """A user who was sent to a network to allow us in. Good once, for the one who began it."""

    __tablename__ = "account_connections"
    __table_args__ = (one_of("provider", PROVIDERS),)

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id, ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    provider: Mapped[str]
    base_url: Mapped[str]
    state_hash: Mapped[bytes] = mapped_column(unique=True)
    verifier: Mapped[str | None]  # the PKCE verifier, sealed
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class ProviderApp(Base):
    """Ourselves as a network knows us; Mastodon wants a registration on each instance. The secret is sealed."""

    __tablename__ = "provider_apps"
    __table_args__ = (one_of("provider", PROVIDERS),)

    provider: Mapped[str] = mapped_column(primary_key=True)
    base_url: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str]
    client_secret: Mapped[str]
    client_secret_kid: Mapped[str]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class ProviderThrottle(Base):
    """How long a network wants to be left alone, learned from its answers and looked at before every call.

    ``scope`` is an account (``bluesky:account:<id>``) or all of us (``instagram:app``).
    """

    __tablename__ = "provider_throttles"

    scope: Mapped[str] = mapped_column(primary_key=True)
    blocked_until: Mapped[datetime | None]
    remaining: Mapped[int | None]
    window_resets_at: Mapped[datetime | None]
    updated_at: Mapped[UpdatedAt]
