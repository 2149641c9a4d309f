"""RegisterUser, ChangeEmail and VerifyEmail: an address belongs to whoever opens the link that we sent to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from domain.events import EmailChanged, EmailVerified, UserRegistered
from domain.models import User, UserStatus, new_id, transition
from domain.use_cases.auditing import audit
from domain.use_cases.identity.addresses import checked_address, user_of
from domain.use_cases.identity.links import InvalidLink, Links
from domain.use_cases.identity.sessions import WrongCredentials

if TYPE_CHECKING:
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.identity.passwords import Passwords
    from pgqueue import Context

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """Somebody signs up."""

    units: UnitsOfWork
    passwords: Passwords
    links: Links

    async def __call__(
        self,
        context: Context,
        *,
        email: str,
        password: str,
        name: str = "",
        locale: str = "pt-BR",
        ip: str | None = None,
    ) -> None:
        """Store the user, who has to open a link first.

        Nothing tells whether the address was known. Until it is verified, the latest sign-up is the one that counts:
        its link is the only good one, and it comes with its own password.
        """
        address = checked_address(email)
        self.passwords.check(password)
        hashed = await self.passwords.hash(password)
        values = {
            "name": _plain(name),
            "locale": _plain(locale),
            "password_hash": hashed,
            "security_stamp": func.gen_random_uuid(),
        }
        async with self.units.begin(context) as uow:
            await uow.session.execute(
                insert(User).values(id=new_id(), email=address, **values).on_conflict_do_nothing()
            )
            user = await user_of(uow, address, lock=True)
            if user is None:
                raise InvalidLink  # the row was there and went in between: nothing to sign up to
            token = await self.links.issue(uow, "verify_email", address, user.id, ip)
            if user.status == UserStatus.PENDING:
                for column, value in values.items():
                    setattr(user, column, value)
            audit(uow, "user.registered", ("user", user.id))
            await uow.publish(UserRegistered(user_id=user.id, user_token_id=token.id))


@dataclass(frozen=True, slots=True)
class ChangeEmail:
    """A user wants another address; the old one counts until the new one is verified."""

    units: UnitsOfWork
    passwords: Passwords
    links: Links

    async def __call__(self, context: Context, *, email: str, password: str, ip: str | None = None) -> None:
        """Note the wish. Raises `WrongCredentials`."""
        address = checked_address(email)
        async with self.units.begin(context) as uow:
            stored = (await _active(uow, uow.user_id)).password_hash
        if not await self.passwords.verify(password, stored):
            raise WrongCredentials
        async with self.units.begin(context) as uow:
            user = await _active(uow, uow.user_id)
            user.pending_email = address
            token = await self.links.issue(uow, "verify_email", address, user.id, ip)
            audit(uow, "user.email_change_requested", ("user", user.id))
            await uow.publish(EmailChanged(user_id=user.id, user_token_id=token.id))


@dataclass(frozen=True, slots=True)
class VerifyEmail:
    """Somebody opened the link."""

    units: UnitsOfWork
    links: Links

    async def __call__(self, context: Context, *, secret: str) -> UUID:
        """Make the address the user's, and return the user's id. A second click finds it done and says so, too.

        Raises:
            InvalidLink: the link is not good, or the address has become somebody else's meanwhile.

        """
        try:
            async with self.units.begin(context) as uow:
                return await self._verify(uow, secret)
        except IntegrityError as error:
            if "users_email" in str(error.orig):
                raise InvalidLink from error
            raise

    async def _verify(self, uow: UnitOfWork, secret: str) -> UUID:
        token, user = await self.links.redeem(uow, "verify_email", secret)
        fingerprint = self.links.vault.fingerprint
        changes = user.pending_email is not None and fingerprint(user.pending_email) == token.email_fingerprint
        if token.used_at is not None:
            return user.id
        if user.status not in (UserStatus.PENDING, UserStatus.ACTIVE):
            raise InvalidLink
        if changes and user.pending_email is not None:
            user.email, user.pending_email = user.pending_email, None
        elif fingerprint(user.email) != token.email_fingerprint:
            raise InvalidLink
        if user.status == UserStatus.PENDING:
            transition(user, UserStatus.ACTIVE)
        token.used_at = user.email_verified_at = func.clock_timestamp()
        audit(uow, "user.email_verified", ("user", user.id))
        await uow.publish(EmailVerified(user_id=user.id))
        return user.id


async def _active(uow: UnitOfWork, user_id: UUID) -> User:
    user = await uow.session.get(User, user_id, with_for_update={"key_share": True})
    if user is None or user.status != UserStatus.ACTIVE:
        raise WrongCredentials
    return user


def _plain(name: str) -> str:
    return " ".join("".join(char for char in name if char.isprintable()).split())[:_LONGEST_NAME]
