"""Accounts on the social networks, with their credentials sealed."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.models.base import Base, CreatedAt, Id, UpdatedAt, one_of
from domain.models.organizations import Organization, User
from domain.models.states import ACCOUNT_MOVES, AccountStatus

PROVIDERS = ("mastodon",)


class SocialAccount(Base):
    """One account on one network. ``credentials`` is a sealed blob that only the vault can open."""

    MOVES: ClassVar = ACCOUNT_MOVES
    __tablename__ = "social_accounts"
    __table_args__ = (
        one_of("provider", PROVIDERS),
        one_of("status", AccountStatus),
        UniqueConstraint("organization_id", "id"),
        UniqueConstraint("organization_id", "provider", "base_url", "external_id", name="social_accounts_identity"),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id))
    provider: Mapped[str]
    base_url: Mapped[str]
    external_id: Mapped[str]
    handle: Mapped[str]
    connected_by: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    status: Mapped[str] = mapped_column(default=AccountStatus.ACTIVE.value, server_default="active")
    status_reason: Mapped[str | None]
    credentials: Mapped[str]
    credentials_kid: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
