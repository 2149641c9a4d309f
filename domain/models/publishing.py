"""Where and when content is to be published, and every call that was begun to do so."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.models.accounts import SocialAccount
from domain.models.base import Base, CreatedAt, Document, Id, UpdatedAt, one_of
from domain.models.content import Media, Post
from domain.models.identifiers import new_id
from domain.models.identity import User
from domain.models.states import POST_MOVES, REMOTE_MEDIA_MOVES, Machines, PostStatus, RemoteMediaStatus


class ScheduledPost(Base):
    """One post on one account: the status lives here."""

    MOVES: ClassVar[Machines] = {"status": POST_MOVES}
    __tablename__ = "scheduled_posts"
    __table_args__ = (
        one_of("status", PostStatus),
        CheckConstraint(
            "status <> 'published' OR (external_id IS NOT NULL AND published_at IS NOT NULL)",
            name="published_has_an_address",
        ),
        CheckConstraint("(status = 'paused') = (paused_from IS NOT NULL)", name="paused_knows_its_past"),
        CheckConstraint("(wall_time IS NULL) = (wall_zone IS NULL)", name="wall_time_has_a_zone"),
        one_of("metrics_stopped", ("removed", "scope", "age")),
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
        Index(
            "scheduled_posts_metrics_due",
            "next_metrics_at",
            postgresql_where=text("status = 'published' AND next_metrics_at IS NOT NULL"),
        ),
        Index(
            "scheduled_posts_comments_due",
            "next_comments_at",
            postgresql_where=text("status = 'published' AND next_comments_at IS NOT NULL"),
        ),
        Index("scheduled_posts_paused", "organization_id", postgresql_where=text("status = 'paused'")),
        Index("scheduled_posts_account", "social_account_id", "scheduled_at"),
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
    post_id: Mapped[UUID] = mapped_column(index=True)
    social_account_id: Mapped[UUID]
    created_by: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    status: Mapped[str] = mapped_column(default=PostStatus.SCHEDULED.value, server_default="scheduled")
    scheduled_at: Mapped[datetime]
    # what the user said, when it was a time on the wall: the instant follows when the zone's rules change
    wall_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=False))
    wall_zone: Mapped[str | None]
    schedule_version: Mapped[int] = mapped_column(default=1, server_default="1")
    dispatched_at: Mapped[datetime | None]
    publish_key: Mapped[UUID] = mapped_column(default=new_id)  # the same on every attempt to publish this content
    retry_no: Mapped[int] = mapped_column(default=0, server_default="0")  # how often somebody asked for another try
    # written before the call and used again by every later one: record key and time, container id, ...
    remote_plan: Mapped[Document]
    external_id: Mapped[str | None]
    permalink: Mapped[str | None]
    published_at: Mapped[datetime | None]
    failure_code: Mapped[str | None]
    failure_message: Mapped[str | None]
    paused_from: Mapped[str | None]
    paused_reason: Mapped[str | None]
    next_metrics_at: Mapped[datetime | None]
    metrics_stopped: Mapped[str | None]  # why no more numbers are asked for
    next_comments_at: Mapped[datetime | None]
    comments_cursor: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class PublishAttempt(Base):
    """Written before the call. ``outcome`` NULL: a call was begun and nobody knows how it ended."""

    __tablename__ = "publish_attempts"
    __table_args__ = (
        one_of("phase", ("upload", "create", "publish", "reconcile")),
        one_of("outcome", ("ok", "duplicate", "rate_limited", "auth", "rejected", "transient", "unknown")),
        UniqueConstraint("scheduled_post_id", "attempt", "phase"),
        ForeignKeyConstraint(
            ["organization_id", "scheduled_post_id"],
            [ScheduledPost.organization_id, ScheduledPost.id],
            ondelete="CASCADE",
        ),
        Index("publish_attempts_ended", "started_at", postgresql_where=text("outcome IS NOT NULL")),
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


class RemoteMedia(Base):
    """A file that a network has: a retry does not upload it again."""

    MOVES: ClassVar[Machines] = {"status": REMOTE_MEDIA_MOVES}
    __tablename__ = "remote_media"
    __table_args__ = (
        one_of("status", RemoteMediaStatus),
        ForeignKeyConstraint(
            ["organization_id", "scheduled_post_id"],
            [ScheduledPost.organization_id, ScheduledPost.id],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["organization_id", "media_id"], [Media.organization_id, Media.id]),
    )

    organization_id: Mapped[UUID]
    scheduled_post_id: Mapped[UUID] = mapped_column(primary_key=True)
    media_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    remote_ref: Mapped[Document]
    status: Mapped[str] = mapped_column(default=RemoteMediaStatus.UPLOADED.value, server_default="uploaded")
    expires_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
