"""RequestAccountDeletion and CancelAccountDeletion: thirty days to think about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.events import AccountDeletionCanceled, AccountDeletionRequested
from domain.models import AccountDeletion, DeletionStatus, UserStatus, new_id, transition
from domain.system import SYSTEM_ORGANIZATION
from domain.use_cases.administration.operators import UnknownSubject
from domain.use_cases.administration.ownership import sole_ownership
from domain.use_cases.administration.users import end_access, locked_user
from domain.use_cases.auditing import audit
from domain.use_cases.clock import database_now
from pgqueue import Context

if TYPE_CHECKING:
    from uuid import UUID

    from domain.unit_of_work import UnitsOfWork

GRACE = timedelta(days=30)


class SoleOwner(Exception):
    """Organizations with other members would be left without an owner."""

    def __init__(self, organization_ids: tuple[UUID, ...]) -> None:
        listed = ", ".join(str(id_) for id_ in organization_ids)
        super().__init__(f"make somebody else an owner of these organizations first: {listed}")
        self.organization_ids = organization_ids


@dataclass(frozen=True, slots=True)
class RequestAccountDeletion:
    """A user wants to be forgotten."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> UUID:
        """Note the wish and return its id; sessions are over, signing in again is how to cancel.

        Raises:
            SoleOwner: others depend on this user.
            IllegalTransition: the user is not active.

        """
        async with self.units.begin(of_nobody(context)) as uow:
            user = await locked_user(uow, uow.user_id)
            shared = (await sole_ownership(uow, user.id)).shared
            if shared:
                raise SoleOwner(shared)
            now = await database_now(uow)
            transition(user, UserStatus.PENDING_DELETION)
            user.deletion_requested_at, user.deletion_due_at = now, now + GRACE
            end_access(user)
            deletion = AccountDeletion(id=new_id(), user_id=user.id, requested_at=now, due_at=now + GRACE)
            uow.session.add(deletion)
            await uow.session.flush()
            audit(uow, "user.deletion_requested", ("user", user.id))
            await uow.publish(
                AccountDeletionRequested(
                    deletion_id=deletion.id, user_id=user.id, epoch=user.session_epoch, due_at=now + GRACE
                )
            )
            return deletion.id


@dataclass(frozen=True, slots=True)
class CancelAccountDeletion:
    """A user stays. The job that waits for the day finds it canceled."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> None:
        """Cancel. Raises `UnknownSubject` without a request, `IllegalTransition` when the deletion has begun."""
        async with self.units.begin(of_nobody(context)) as uow:
            user = await locked_user(uow, uow.user_id)
            deletion = await uow.session.scalar(
                select(AccountDeletion)
                .where(
                    AccountDeletion.user_id == user.id,
                    AccountDeletion.status.in_((DeletionStatus.PENDING, DeletionStatus.RUNNING)),
                )
                .with_for_update()
            )
            if deletion is None:
                raise UnknownSubject("nobody asked for the deletion of this account")
            now = await database_now(uow)
            transition(deletion, DeletionStatus.CANCELED)
            deletion.canceled_at = now
            transition(user, UserStatus.ACTIVE)
            user.deletion_requested_at = user.deletion_due_at = None
            audit(uow, "user.deletion_canceled", ("user", user.id))
            await uow.publish(AccountDeletionCanceled(deletion_id=deletion.id, user_id=user.id))


def of_nobody(context: Context) -> Context:
    """Return the context of the user alone: an account is no organization's business."""
    return Context(str(SYSTEM_ORGANIZATION), context.user_id, context.correlation_id)
