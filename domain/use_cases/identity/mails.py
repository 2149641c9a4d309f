"""SendVerificationEmail and SendPasswordReset: the worker computes the link; no payload and no table holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from domain.models import User, UserStatus, UserToken
from domain.use_cases.mailing import Letter, Mailing
from domain.use_cases.templates import render
from pgqueue import Discard, Outcome

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.identity.links import Links, Purpose
    from pgqueue import Death, JobContext


@dataclass(frozen=True, slots=True)
class SendLink:
    """Send the link that a token stands for, once; safe to call again at any moment."""

    units: UnitsOfWork
    links: Links
    mailing: Mailing
    purpose: Purpose

    async def __call__(self, ctx: JobContext, user_token_id: UUID) -> Outcome | None:
        """Send nothing, without a word, to nobody: unknown, not active, verified already, replaced, used, too late."""
        async with self.units.begin(ctx.context) as uow:
            letter = await self._letter(uow, user_token_id)
            if letter is None:
                return Discard("there is nobody to tell any more")
            message = await self.mailing.begin(uow, letter)
        if message is None:
            return None
        return await self.mailing.send(ctx, letter, message)

    async def _letter(self, uow: UnitOfWork, user_token_id: UUID) -> Letter | None:
        found = await uow.session.execute(
            select(UserToken, User)
            .join(User, User.id == UserToken.user_id)
            .where(
                UserToken.id == user_token_id,
                UserToken.purpose == self.purpose,
                UserToken.used_at.is_(None),
                UserToken.revoked_at.is_(None),
                UserToken.expires_at > func.clock_timestamp(),
            )
        )
        row = found.one_or_none()
        if row is None:
            return None
        token, user = row
        to = self._recipient(token, user)
        if to is None:
            return None
        words = render(user.locale, self.purpose, link=self.links.url(token, user), name=user.name)
        return Letter(_key(user_token_id), self.purpose, user.id, to, *words)

    def _recipient(self, token: UserToken, user: User) -> str | None:
        fingerprint = self.links.vault.fingerprint
        if user.pending_email is not None and fingerprint(user.pending_email) == token.email_fingerprint:
            return user.pending_email if self.purpose == "verify_email" else None
        if fingerprint(user.email) != token.email_fingerprint:
            return None
        wanted = UserStatus.PENDING if self.purpose == "verify_email" else UserStatus.ACTIVE
        return user.email if user.status == wanted else None


@dataclass(frozen=True, slots=True)
class BuryLink:
    """The job died: the mail did not go out, and the row says so."""

    mailing: Mailing

    async def __call__(self, session: AsyncSession, death: Death, user_token_id: UUID) -> None:
        """Put the mail back to `pending`."""
        await self.mailing.bury(session, death, _key(user_token_id))


def _key(user_token_id: UUID) -> str:
    return f"mail:{user_token_id}"
