"""What was asked for and what was done: repeated requests and the log of changes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.models.base import Base, CreatedAt, Document, one_of


class IdempotencyKey(Base):
    """A write that a client may send again, and the answer it gets then, sealed: it may hold a new secret.

    ``response_status`` NULL: the first request calls the outside world, or its process died. After ``expires_at`` the
    key is free again.
    A caller who is nobody yet (sign-up) has the system's ids, so neither id is a foreign key.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        CheckConstraint("length(key) BETWEEN 1 AND 255", name="key_has_a_length"),
        CheckConstraint("octet_length(request_hash) = 32", name="request_hash_whole"),
        CheckConstraint("(response_status IS NULL) = (completed_at IS NULL)", name="answered_or_not"),
    )

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    operation: Mapped[str]  # method and route: the same key for something else is a mistake
    request_hash: Mapped[bytes]
    response_status: Mapped[int | None]
    response_headers: Mapped[Document]
    response_body: Mapped[bytes | None]
    created_at: Mapped[CreatedAt]
    completed_at: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AuditEntry(Base):
    """Who did what to what. Ids only; it outlives what it speaks of, so none of them is a foreign key."""

    __tablename__ = "audit_log"
    __table_args__ = (
        one_of("actor_kind", ("user", "system", "job")),
        Index("audit_log_of_subject", "subject_type", "subject_id", text("at DESC")),
        Index("audit_log_of_organization", "organization_id", text("at DESC")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    organization_id: Mapped[UUID]
    actor_id: Mapped[UUID]
    actor_kind: Mapped[str]
    action: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[str]
    correlation_id: Mapped[UUID]
    trace_id: Mapped[UUID]
    detail: Mapped[Document]
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"), index=True)
