"""SignIn, SignOut and Authenticate. A session's secret is given out once; we keep its hash."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select, update

from domain.models import User, UserSession, UserStatus, new_id
from domain.use_cases.auditing import audit
from domain.use_cases.identity.addresses import InvalidAddress, checked_address, user_of
from pgqueue import Rate, take_async

if TYPE_CHECKING:
    from uuid import UUID

    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.identity.passwords import Passwords
    from pgqueue import Context

GOOD_FOR = timedelta(days=30)
_SEEN_EVERY = timedelta(minutes=5)
_SECRET_BYTES = 32
_LONGEST_AGENT = 300
# Guessing is slow, whether one address is tried or many are; an office behind one address is not kept out.
OF_ADDRESS: Final = Rate("address", count=20, per="1h", burst=10, name="sign-in-address")
OF_IP: Final = Rate("ip", count=600, per="1h", burst=60, name="sign-in-ip")
# Who wants to be forgotten may still come in and change their mind.
MAY_SIGN_IN = (UserStatus.ACTIVE, UserStatus.PENDING_DELETION)


class WrongCredentials(Exception):
    """Address and password are not those of somebody who may sign in."""

    def __init__(self) -> None:
        super().__init__("the address or the password is wrong")


class TooManySignIns(Exception):
    """Somebody tries too often, said of known and unknown addresses alike; ``wait`` is until the next try."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__("too many tries; wait a while")
        self.wait = wait


class NotSignedIn(Exception):
    """A session that never was or is over."""

    def __init__(self) -> None:
        super().__init__("sign in first")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What the client keeps."""

    user_id: UUID
    secret: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request comes from."""

    user_id: UUID
    session_id: UUID
    status: str
    is_operator: bool


@dataclass(frozen=True, slots=True)
class SignIn:
    """Somebody shows address and password."""

    units: UnitsOfWork
    passwords: Passwords
    vault: Vault

    async def __call__(
        self, context: Context, *, email: str, password: str, ip: str | None = None, user_agent: str | None = None
    ) -> SignedIn:
        """Open a session. Raises `WrongCredentials`, after the same time whatever is wrong, and `TooManySignIns`."""
        async with self.units.begin(context) as uow:
            await self._count(uow, email, ip)
            stored = await _stored(uow, email)
        if not await self.passwords.verify(password, stored) or stored is None:
            raise WrongCredentials
        renewed = await self.passwords.hash(password) if self.passwords.outdated(stored) else stored
        async with self.units.begin(context) as uow:
            # read again, locked: a ban or a new password may have come while we computed
            user = await user_of(uow, checked_address(email), lock=True)
            if user is None or user.status not in MAY_SIGN_IN or user.password_hash != stored:
                raise WrongCredentials
            user.password_hash = renewed
            return await _open(uow, user, ip, user_agent)

    async def _count(self, uow: UnitOfWork, email: str, ip: str | None) -> None:
        """Count the try, in all processes together; both addresses are counted by what stands for them."""
        wait = await take_async(uow.session, OF_ADDRESS, self.vault.fingerprint(email).hex())
        if not wait and ip is not None:
            wait = await take_async(uow.session, OF_IP, self.vault.fingerprint(ip).hex())
        if wait:
            raise TooManySignIns(wait)


@dataclass(frozen=True, slots=True)
class SignOut:
    """Somebody leaves."""

    units: UnitsOfWork

    async def __call__(self, context: Context, *, secret: str) -> None:
        """End the session; one that is over already stays so."""
        async with self.units.begin(context) as uow:
            await uow.session.execute(
                update(UserSession)
                .where(UserSession.token_hash == _hash(secret), UserSession.revoked_at.is_(None))
                .values(revoked_at=func.clock_timestamp(), revoke_reason="signed_out")
            )


@dataclass(frozen=True, slots=True)
class Authenticate:
    """A request shows its session."""

    units: UnitsOfWork

    async def __call__(self, context: Context, *, secret: str) -> Identity:
        """Return who it is. Raises `NotSignedIn`; a session of an earlier epoch is over, revoked or not."""
        async with self.units.begin(context) as uow:
            found = await uow.session.execute(
                select(UserSession, User)
                .join(User, User.id == UserSession.user_id)
                .where(
                    UserSession.token_hash == _hash(secret),
                    UserSession.revoked_at.is_(None),
                    UserSession.expires_at > func.clock_timestamp(),
                    UserSession.epoch == User.session_epoch,
                    User.status.in_(MAY_SIGN_IN),
                )
            )
            row = found.one_or_none()
            if row is None:
                raise NotSignedIn
            session, user = row
            await uow.session.execute(
                update(UserSession)
                .where(UserSession.id == session.id, UserSession.last_seen_at < func.clock_timestamp() - _SEEN_EVERY)
                .values(last_seen_at=func.clock_timestamp())
                .execution_options(synchronize_session=False)
            )
            return Identity(user.id, session.id, user.status, user.is_operator)


async def _stored(uow: UnitOfWork, email: str) -> str | None:
    try:
        user = await user_of(uow, checked_address(email))
    except InvalidAddress:
        return None
    return None if user is None else user.password_hash


async def _open(uow: UnitOfWork, user: User, ip: str | None, user_agent: str | None) -> SignedIn:
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    session = UserSession(
        id=new_id(),
        user_id=user.id,
        token_hash=_hash(secret),
        epoch=user.session_epoch,
        ip=None if ip is None else ipaddress.ip_address(ip),
        user_agent=None if user_agent is None else user_agent[:_LONGEST_AGENT].replace("\x00", ""),
        expires_at=func.clock_timestamp() + GOOD_FOR,
    )
    uow.session.add(session)
    audit(uow, "user.signed_in", ("user", user.id))
    await uow.session.flush()
    await uow.session.refresh(session, ["expires_at"])
    return SignedIn(user.id, secret, session.expires_at)


def _hash(secret: str) -> bytes:
    # a random secret of 32 bytes needs no salt and no slow hash: there is nothing to guess
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
