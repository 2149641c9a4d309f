"""What users are told, in the application and by e-mail."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.models.base import Base, CreatedAt, Document, Id, one_of
from domain.models.identity import Organization, User
from domain.models.states import EMAIL_MOVES, EmailStatus, Machines


class Notification(Base):
    """A notice in the application; the key makes a second notice of the same fact impossible."""

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("user_id", "dedupe_key"),
        Index(
            "notifications_unread",
            "user_id",
            text("created_at DESC"),
            postgresql_where=text("read_at IS NULL"),
        ),
        Index("notifications_read_at", "read_at", postgresql_where=text("read_at IS NOT NULL")),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id))
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    kind: Mapped[str]
    dedupe_key: Mapped[str]
    title: Mapped[str]
    body: Mapped[str] = mapped_column(server_default="")
    link: Mapped[str | None]
    data: Mapped[Document]
    read_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt] = mapped_column(index=True)


class NotificationPreference(Base):
    """Whether a user wants to hear of a kind of news in a way; without a row the kind's own rule stands."""

    __tablename__ = "notification_preferences"
    __table_args__ = (one_of("channel", ("in_app", "email")),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    enabled: Mapped[bool]


class EmailMessage(Base):
    """That an e-mail is to go out and what became of it: neither its text nor the address is kept.

    Mails of nobody's tenant (a password reset) carry the system's ids, so the organization is no foreign key.
    """

    MOVES: ClassVar[Machines] = {"status": EMAIL_MOVES}
    __tablename__ = "email_messages"
    __table_args__ = (
        one_of("status", EmailStatus),
        Index("email_messages_of_recipient", "recipient_fingerprint", text("created_at DESC")),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey(User.id, ondelete="SET NULL"), index=True)
    dedupe_key: Mapped[str] = mapped_column(unique=True)
    template: Mapped[str]
    recipient_fingerprint: Mapped[bytes]
    message_id: Mapped[str]
    status: Mapped[str] = mapped_column(default=EmailStatus.PENDING.value, server_default="pending")
    smtp_code: Mapped[int | None]
    smtp_reply: Mapped[str | None]
    created_at: Mapped[CreatedAt] = mapped_column(index=True)
    sent_at: Mapped[datetime | None]
