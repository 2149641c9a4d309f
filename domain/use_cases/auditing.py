"""Who did what: one row in the audit log, in the transaction of what was done. Ids and numbers only."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from domain.models import AuditEntry
from domain.system import SYSTEM_USER

if TYPE_CHECKING:
    from domain.unit_of_work import UnitOfWork
    from pgqueue import JobContext

Detail = str | int | bool


def audit(
    uow: UnitOfWork, action: str, subject: tuple[str, UUID], *, ctx: JobContext | None = None, **detail: Detail
) -> None:
    """Note an action on a subject (its type and id). ``ctx``: the job that does it; without one it is the caller."""
    kind = "job" if ctx is not None else "system" if uow.user_id == SYSTEM_USER else "user"
    subject_type, subject_id = subject
    uow.session.add(
        AuditEntry(
            organization_id=uow.organization_id,
            actor_id=uow.user_id,
            actor_kind=kind,
            action=action,
            subject_type=subject_type,
            subject_id=str(subject_id),
            correlation_id=uow.context.correlation_id,
            trace_id=ctx.trace_id if ctx is not None else uuid4(),
            detail=detail,
        )
    )
