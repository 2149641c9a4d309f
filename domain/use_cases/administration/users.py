"""BanUser, ReinstateUser and InvalidateUserSessions.

Access ends with the commit that raises the user's epoch: every request compares it. The job only cleans up behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from domain.events import SessionsInvalidated, UserBanned, UserReinstated
from domain.jobs import InvalidateUserSessionsJob, InvalidationReason
from domain.models import User, UserSession, UserStatus, UserToken, transition
from domain.use_cases.administration.operators import UnknownSubject, require_operator
from domain.use_cases.auditing import audit

if TYPE_CHECKING:
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Context, JobContext

SLICE = 1000


@dataclass(frozen=True, slots=True)
class BanUser:
    """An operator shuts somebody out."""

    units: UnitsOfWork

    async def __call__(self, context: Context, user_id: UUID, *, reason: str) -> None:
        """End all access now. Raises `Forbidden`, `UnknownSubject`, `IllegalTransition`."""
        async with self.units.begin(context) as uow:
            await require_operator(uow)
            user = await locked_user(uow, user_id)
            transition(user, UserStatus.BANNED)
            user.banned_at, user.ban_reason = func.clock_timestamp(), reason
            end_access(user)
            await uow.session.flush()
            audit(uow, "user.banned", ("user", user.id))
            await uow.publish(UserBanned(user_id=user.id, epoch=user.session_epoch))


@dataclass(frozen=True, slots=True)
class ReinstateUser:
    """An operator lets somebody in again; what they were signed in with stays over."""

    units: UnitsOfWork

    async def __call__(self, context: Context, user_id: UUID) -> None:
        """Allow signing in. Raises `Forbidden`, `UnknownSubject`, `IllegalTransition`."""
        async with self.units.begin(context) as uow:
            await require_operator(uow)
            user = await locked_user(uow, user_id)
            if user.status != UserStatus.BANNED:  # an account that is to be deleted is not an operator's to keep
                raise UnknownSubject(f"user {user_id} is not banned")
            transition(user, UserStatus.ACTIVE)
            user.banned_at = user.ban_reason = None
            audit(uow, "user.reinstated", ("user", user.id))
            await uow.publish(UserReinstated(user_id=user.id))


@dataclass(frozen=True, slots=True)
class InvalidateUserSessions:
    """Revoke what a user was signed in with before an epoch, and the links that were on their way."""

    units: UnitsOfWork

    async def __call__(
        self, ctx: JobContext, *, target_user_id: UUID, epoch: int, reason: InvalidationReason, part: int
    ) -> None:
        """Revoke one slice together with the job's completion; the next slice is a job of its own."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            revoked = await _revoke_sessions(uow, target_user_id, epoch, reason)
            # only those of before: a link that somebody asked for since is none of ours
            await session.execute(
                update(UserToken)
                .where(
                    UserToken.user_id == target_user_id,
                    UserToken.used_at.is_(None),
                    UserToken.revoked_at.is_(None),
                    UserToken.created_at <= ctx.enqueued_at,
                )
                .values(revoked_at=func.clock_timestamp())
            )
            if revoked:
                audit(uow, "user.sessions_invalidated", ("user", target_user_id), ctx=ctx, sessions=revoked)
                await uow.publish(SessionsInvalidated(user_id=target_user_id, count=revoked))
            if revoked == SLICE:
                following = InvalidateUserSessionsJob(
                    target_user_id=target_user_id, epoch=epoch, reason=reason, part=part + 1
                )
                await uow.dispatch(following)


async def locked_user(uow: UnitOfWork, user_id: UUID) -> User:
    """Load a user and keep the row locked until the transaction ends. Raises `UnknownSubject`."""
    user = await uow.session.get(User, user_id, with_for_update={"key_share": True})
    if user is None:
        raise UnknownSubject(f"there is no user {user_id}")
    return user


def end_access(user: User) -> None:
    """End every session (epoch) and every mailed link (stamp) with this transaction's commit."""
    user.session_epoch += 1
    user.security_stamp = func.gen_random_uuid()


async def _revoke_sessions(uow: UnitOfWork, user_id: UUID, epoch: int, reason: str) -> int:
    slice_ = (
        select(UserSession.id)
        .where(UserSession.user_id == user_id, UserSession.epoch < epoch, UserSession.revoked_at.is_(None))
        .order_by(UserSession.id)
        .limit(SLICE)
        .with_for_update()
    )
    found = await uow.session.execute(
        update(UserSession)
        .where(UserSession.id.in_(slice_))
        .values(revoked_at=func.clock_timestamp(), revoke_reason=reason)
        .returning(UserSession.id)
        .execution_options(synchronize_session=False)
    )
    return len(found.all())
