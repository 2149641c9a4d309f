"""RequestPasswordReset and ResetPassword."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func

from domain.events import PasswordChanged, PasswordResetRequested
from domain.models import UserStatus
from domain.use_cases.auditing import audit
from domain.use_cases.identity.addresses import checked_address, user_of
from domain.use_cases.identity.links import InvalidLink, Links

if TYPE_CHECKING:
    from domain.unit_of_work import UnitsOfWork
    from domain.use_cases.identity.passwords import Passwords
    from pgqueue import Context


@dataclass(frozen=True, slots=True)
class RequestPasswordReset:
    """Somebody has forgotten a password, or says so."""

    units: UnitsOfWork
    links: Links

    async def __call__(self, context: Context, *, email: str, ip: str | None = None) -> None:
        """Write the same rows for any address; the job finds out whether there is anybody to tell."""
        address = checked_address(email)
        async with self.units.begin(context) as uow:
            user = await user_of(uow, address)
            token = await self.links.issue(uow, "reset_password", address, None if user is None else user.id, ip)
            audit(uow, "user.password_reset_requested", ("user_token", token.id))
            await uow.publish(PasswordResetRequested(user_token_id=token.id))


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """Somebody opened the link and chose a new password."""

    units: UnitsOfWork
    passwords: Passwords
    links: Links

    async def __call__(self, context: Context, *, secret: str, password: str) -> None:
        """Store it; with the commit every session and every link of this user is over. Raises `InvalidLink`."""
        self.passwords.check(password)
        async with self.units.begin(context) as uow:  # a link that is no good is not worth the hashing
            await self.links.redeem(uow, "reset_password", secret)
        hashed = await self.passwords.hash(password)
        async with self.units.begin(context) as uow:
            token, user = await self.links.redeem(uow, "reset_password", secret)
            if token.used_at is not None or user.status != UserStatus.ACTIVE:
                raise InvalidLink
            token.used_at = func.clock_timestamp()
            user.password_hash = hashed
            user.session_epoch += 1
            user.security_stamp = func.gen_random_uuid()
            await uow.session.flush()
            audit(uow, "user.password_changed", ("user", user.id))
            await uow.publish(PasswordChanged(user_id=user.id, epoch=user.session_epoch))
