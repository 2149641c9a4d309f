"""Content, where and when it is to be published, and every call that was begun to do so."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.models.accounts import SocialAccount
from domain.models.base import Base, CreatedAt, Id, UpdatedAt, one_of
from domain.models.identifiers import new_id
from domain.models.organizations import Organization, User
from domain.models.states import POST_MOVES, PostStatus


class Post(Base):
    """What is to be said; it has no status of its own."""

    __tablename__ = "posts"
    __table_args__ = (UniqueConstraint("organization_id", "id"),)

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id))
    author_id: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    body: Mapped[str]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class ScheduledPost(Base):
    """One post on one account: the status lives here."""

    MOVES: ClassVar = POST_MOVES
    __tablename__ = "scheduled_posts"
    __table_args__ = (
        one_of("status", PostStatus),
        CheckConstraint(
            "status <> 'published' OR (external_id IS NOT NULL AND published_at IS NOT NULL)",
            name="published_has_an_address",
        ),
        CheckConstraint("(status = 'paused') = (paused_from IS NOT NULL)", name="paused_knows_its_past"),
        UniqueConstraint("organization_id", "id"),
        # the organization is part of both keys, so that a row can never join two tenants
        ForeignKeyConstraint(["organization_id", "post_id"], [Post.organization_id, Post.id]),
        ForeignKeyConstraint(
            ["organization_id", "social_account_id"], [SocialAccount.organization_id, SocialAccount.id]
        ),
        Index("scheduled_posts_due", "scheduled_at", postgresql_where=text("status = 'scheduled'")),
        Index(
            "scheduled_posts_inflight",
            "updated_at",
            postgresql_where=text("status IN ('dispatched', 'publishing', 'processing', 'unconfirmed')"),
        ),
        Index("scheduled_posts_calendar", "organization_id", text("scheduled_at DESC")),
        Index(
            "scheduled_posts_external",
            "social_account_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID]
    post_id: Mapped[UUID]
    social_account_id: Mapped[UUID]
    created_by: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    status: Mapped[str] = mapped_column(default=PostStatus.SCHEDULED.value, server_default="scheduled")
    scheduled_at: Mapped[datetime]
    schedule_version: Mapped[int] = mapped_column(default=1, server_default="1")
    dispatched_at: Mapped[datetime | None]
    publish_key: Mapped[UUID] = mapped_column(default=new_id)  # the same on every attempt to publish this content
    external_id: Mapped[str | None]
    permalink: Mapped[str | None]
    published_at: Mapped[datetime | None]
    failure_code: Mapped[str | None]
    failure_message: Mapped[str | None]
    paused_from: Mapped[str | None]
    paused_reason: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class PublishAttempt(Base):
    """Written before the call. ``outcome`` NULL: a call was begun and nobody knows how it ended."""

    __tablename__ = "publish_attempts"
    __table_args__ = (
        one_of("phase", ("publish", "reconcile")),
        one_of("outcome", ("ok", "rate_limited", "auth", "rejected", "transient", "unknown")),
        UniqueConstraint("scheduled_post_id", "attempt"),
        ForeignKeyConstraint(
            ["organization_id", "scheduled_post_id"],
            [ScheduledPost.organization_id, ScheduledPost.id],
            ondelete="CASCADE",
        ),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID]
    scheduled_post_id: Mapped[UUID]
    attempt: Mapped[int]
    phase: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    http_status: Mapped[int | None]
    error_code: Mapped[str | None]
    excerpt: Mapped[str | None]
    trace_id: Mapped[UUID]
