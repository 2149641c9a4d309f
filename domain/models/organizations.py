"""Who uses the product: organizations (the tenants), users, and which user belongs where."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.models.base import Base, CreatedAt, Id, UpdatedAt, one_of


class Organization(Base):
    """A tenant. Every row of the others carries its id."""

    __tablename__ = "organizations"
    __table_args__ = (one_of("status", ("active", "suspended", "pending_deletion", "deleted")),)

    id: Mapped[Id]
    name: Mapped[str]
    slug: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(server_default="active")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class User(Base):
    """A person."""

    __tablename__ = "users"
    __table_args__ = (
        one_of("status", ("pending", "active", "banned", "pending_deletion", "anonymized")),
        Index("users_email", text("lower(email)"), unique=True),
    )

    id: Mapped[Id]
    email: Mapped[str]
    name: Mapped[str] = mapped_column(server_default="")
    locale: Mapped[str] = mapped_column(server_default="pt-BR")
    status: Mapped[str] = mapped_column(server_default="pending")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class Membership(Base):
    """A user's role in an organization."""

    __tablename__ = "memberships"
    __table_args__ = (one_of("role", ("owner", "admin", "editor", "viewer")),)

    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), primary_key=True, index=True)
    role: Mapped[str]
    created_at: Mapped[CreatedAt]
