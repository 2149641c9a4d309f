"""What is to be said and shown: posts, uploaded files, and which file goes with which post."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.models.base import Base, CreatedAt, Document, Id, UpdatedAt, needs, one_of, sha256_of
from domain.models.identity import Organization, User
from domain.models.states import SCAN_MOVES, THUMBNAIL_MOVES, Machines, ScanStatus, ThumbnailStatus


class Post(Base):
    """What is to be said; it has no status of its own."""

    __tablename__ = "posts"
    __table_args__ = (UniqueConstraint("organization_id", "id"),)

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id))
    author_id: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    body: Mapped[str]
    overrides: Mapped[Document]  # by network: another text
    content_hash: Mapped[bytes] = mapped_column(sha256_of("body"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    deleted_at: Mapped[datetime | None]


class Media(Base):
    """An uploaded file. Its object is never overwritten: what was scanned is what is published."""

    MOVES: ClassVar[Machines] = {"scan_status": SCAN_MOVES, "thumbnail_status": THUMBNAIL_MOVES}
    __tablename__ = "media"
    __table_args__ = (
        one_of("scan_status", ScanStatus),
        one_of("thumbnail_status", ThumbnailStatus),
        needs("clean", "detected_type", "sha256", "scanned_at", column="scan_status"),
        needs("ready", "thumbnail_key", column="thumbnail_status"),
        CheckConstraint("byte_size >= 0", name="byte_size_not_negative"),
        CheckConstraint("octet_length(sha256) = 32", name="sha256_whole"),
        UniqueConstraint("organization_id", "id"),
        Index("media_unscanned", "created_at", postgresql_where=text("scan_status = 'pending'")),
        Index(
            "media_quarantined",
            "scanned_at",
            postgresql_where=text("scan_status IN ('infected', 'rejected') AND deleted_at IS NULL"),
        ),
        Index(
            "media_unattached",
            "created_at",
            postgresql_where=text("NOT attached AND scan_status NOT IN ('infected', 'rejected')"),
        ),
        Index("media_verdict", "organization_id", "sha256"),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id))
    uploaded_by: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    storage_key: Mapped[str] = mapped_column(unique=True)
    filename: Mapped[str]
    declared_type: Mapped[str]
    detected_type: Mapped[str | None]
    byte_size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[bytes | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    duration_ms: Mapped[int | None]
    scan_status: Mapped[str] = mapped_column(default=ScanStatus.PENDING.value, server_default="pending")
    scan_detail: Mapped[str | None]
    scan_engine: Mapped[str | None]
    scanned_at: Mapped[datetime | None]
    thumbnail_status: Mapped[str] = mapped_column(default=ThumbnailStatus.NONE.value, server_default="none")
    thumbnail_key: Mapped[str | None]
    thumbnail_width: Mapped[int | None]
    thumbnail_height: Mapped[int | None]
    # a post has or had it, and posts stay: what is not attached is found without reading what is
    attached: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[datetime | None]


class PostMedia(Base):
    """A file of a post, at its place."""

    __tablename__ = "post_media"
    __table_args__ = (
        ForeignKeyConstraint(["organization_id", "post_id"], [Post.organization_id, Post.id], ondelete="CASCADE"),
        ForeignKeyConstraint(["organization_id", "media_id"], [Media.organization_id, Media.id]),
        UniqueConstraint("post_id", "media_id"),
        CheckConstraint('"position" >= 0', name="position_not_negative"),
    )

    organization_id: Mapped[UUID]
    post_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    media_id: Mapped[UUID] = mapped_column(index=True)
    alt_text: Mapped[str] = mapped_column(default="", server_default="")


class ObjectTombstone(Base):
    """A stored object without a row any more, still to be deleted: the row goes first, then the object, then this.

    It outlives its organization, so the id is no foreign key.
    """

    __tablename__ = "object_tombstones"

    storage_key: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    reason: Mapped[str]
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    last_error: Mapped[str | None]
    created_at: Mapped[CreatedAt] = mapped_column(index=True)
