"""What the networks tell of published posts: numbers, comments, and the vectors that similar texts are found by."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import BigInteger, Computed, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.models.accounts import SocialAccount
from domain.models.base import Base, CreatedAt, Document, one_of, sha256_of
from domain.models.content import Post
from domain.models.identifiers import new_id
from domain.models.identity import Organization
from domain.models.publishing import ScheduledPost

DIMENSIONS = 384


class Comment(Base):
    """What somebody on the network answered; ``removed_at``: it is not there any more."""

    __tablename__ = "comments"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        UniqueConstraint("scheduled_post_id", "external_id"),
        ForeignKeyConstraint(
            ["organization_id", "scheduled_post_id"],
            [ScheduledPost.organization_id, ScheduledPost.id],
            ondelete="CASCADE",
        ),
        Index("comments_inbox", "organization_id", text("posted_at DESC"), postgresql_where=text("removed_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[UUID]
    scheduled_post_id: Mapped[UUID]
    external_id: Mapped[str]
    parent_external_id: Mapped[str | None]
    author_external_id: Mapped[str]
    author_handle: Mapped[str]
    body_text: Mapped[str]
    content_hash: Mapped[bytes] = mapped_column(sha256_of("body_text"))
    permalink: Mapped[str | None]
    posted_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    is_own: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    first_seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    removed_at: Mapped[datetime | None]


class PostMetrics(Base):
    """The numbers of a post at a moment, absolute. NULL: the network did not tell; 0: it said zero."""

    __tablename__ = "post_metrics"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "scheduled_post_id"],
            [ScheduledPost.organization_id, ScheduledPost.id],
            ondelete="CASCADE",
        ),
        Index("post_metrics_of_organization", "organization_id", "bucket"),
        Index("post_metrics_with_raw", "captured_at", postgresql_where=text("raw <> '{}'")),
    )

    scheduled_post_id: Mapped[UUID] = mapped_column(primary_key=True)
    bucket: Mapped[datetime] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    captured_at: Mapped[datetime] = mapped_column(index=True)
    impressions: Mapped[int | None] = mapped_column(BigInteger)
    likes: Mapped[int | None] = mapped_column(BigInteger)
    reposts: Mapped[int | None] = mapped_column(BigInteger)
    replies: Mapped[int | None] = mapped_column(BigInteger)
    raw: Mapped[Document]


class AccountMetrics(Base):
    """The numbers of an account on a day, absolute. NULL: the network did not tell."""

    __tablename__ = "account_metrics"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "social_account_id"],
            [SocialAccount.organization_id, SocialAccount.id],
            ondelete="CASCADE",
        ),
        Index("account_metrics_of_organization", "organization_id", "day"),
        Index("account_metrics_with_raw", "captured_at", postgresql_where=text("raw <> '{}'")),
    )

    social_account_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    captured_at: Mapped[datetime] = mapped_column(index=True)
    followers: Mapped[int | None] = mapped_column(BigInteger)
    following: Mapped[int | None] = mapped_column(BigInteger)
    posts: Mapped[int | None] = mapped_column(BigInteger)
    raw: Mapped[Document]


class Embedding(Base):
    """The vector of a text, made by one model from the text with this hash.

    The subject is a post or a comment. ``post_id`` and ``comment_id`` follow from it, so that both are foreign keys.
    """

    __tablename__ = "embeddings"
    __table_args__ = (
        one_of("subject_type", ("post", "comment")),
        ForeignKeyConstraint(["organization_id", "post_id"], [Post.organization_id, Post.id], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["organization_id", "comment_id"], [Comment.organization_id, Comment.id], ondelete="CASCADE"
        ),
        Index("embeddings_of_organization", "organization_id", "model"),
        Index(
            "embeddings_nearest",
            "embedding",
            postgresql_using="hnsw",
            postgresql_ops={"embedding": "vector_cosine_ops"},
        ),
    )

    subject_type: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id))
    content_hash: Mapped[bytes]
    embedding: Mapped[list[float]] = mapped_column(VECTOR(DIMENSIONS))
    created_at: Mapped[CreatedAt]
    post_id: Mapped[UUID | None] = mapped_column(
        Computed("CASE WHEN (subject_type = 'post'::text) THEN subject_id ELSE NULL::uuid END", persisted=True),
        index=True,
    )
    comment_id: Mapped[UUID | None] = mapped_column(
        Computed("CASE WHEN (subject_type = 'comment'::text) THEN subject_id ELSE NULL::uuid END", persisted=True),
        index=True,
    )
