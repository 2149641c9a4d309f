"""Links by e-mail. Their secret is recomputed from the token's id and the user's security stamp, and stored nowhere.

Whoever asks is told the same and waits as long, whether the address is known or not: both write the same rows.
"""

from __future__ import annotations

import binascii
import hmac
import ipaddress
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from sqlalchemy import func, select, update

from domain.models import User, UserToken, new_id

if TYPE_CHECKING:
    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork

Purpose = Literal["verify_email", "reset_password"]
GOOD_FOR: dict[Purpose, timedelta] = {"verify_email": timedelta(hours=24), "reset_password": timedelta(hours=1)}
WINDOW = timedelta(hours=1)
PER_ADDRESS = 3
PER_IP = 10
_ID_BYTES = 16


class InvalidLink(Exception):
    """A link that is forged, used, replaced or too old; which of these is nobody's business."""

    def __init__(self) -> None:
        super().__init__("this link is not good any more; ask for a new one")


class TooManyRequests(Exception):
    """Somebody asks too often; said of known and unknown addresses alike."""

    def __init__(self) -> None:
        super().__init__("too many requests; try again in an hour")


@dataclass(frozen=True, slots=True)
class Links:
    """Makes, checks and limits links."""

    vault: Vault
    key: bytes
    base_url: str

    def secret(self, token: UserToken, user: User) -> str:
        """Return what the link carries: the same each time, until the user's stamp changes."""
        said = b"\x00".join((token.purpose.encode(), token.id.bytes, user.security_stamp.bytes))
        return urlsafe_b64encode(token.id.bytes + hmac.digest(self.key, said, "sha256")).decode()

    def url(self, token: UserToken, user: User) -> str:
        """Return the whole link, to a page that works without scripts; we log no address, only which route it was."""
        return f"{self.base_url.rstrip('/')}/{token.purpose.replace('_', '-')}?secret={self.secret(token, user)}"

    async def issue(
        self, uow: UnitOfWork, purpose: Purpose, email: str, user_id: UUID | None, ip: str | None
    ) -> UserToken:
        """Write a token in place of all earlier ones for this address. Raises `TooManyRequests`."""
        fingerprint = self.vault.fingerprint(email)
        address = None if ip is None else ipaddress.ip_address(ip)
        await self._count(uow, fingerprint, address)
        await uow.session.execute(
            update(UserToken)
            .where(
                UserToken.email_fingerprint == fingerprint,
                UserToken.purpose == purpose,
                UserToken.used_at.is_(None),
                UserToken.revoked_at.is_(None),
            )
            .values(revoked_at=func.clock_timestamp())
            .execution_options(synchronize_session=False)
        )
        token = UserToken(
            id=new_id(),
            user_id=user_id,
            purpose=purpose,
            email_fingerprint=fingerprint,
            requested_ip=address,
            expires_at=func.clock_timestamp() + GOOD_FOR[purpose],
        )
        uow.session.add(token)
        await uow.session.flush()
        return token

    async def _count(
        self,
        uow: UnitOfWork,
        fingerprint: bytes,
        address: ipaddress.IPv4Address | ipaddress.IPv6Address | None,
    ) -> None:
        # two requests at once would each count without the other; taken in this order by everybody: no deadlock
        await _queue_up(uow, fingerprint.hex())
        recent = UserToken.created_at > func.clock_timestamp() - WINDOW
        counting = select(func.count()).select_from(UserToken)
        of_address = await uow.session.scalar(counting.where(UserToken.email_fingerprint == fingerprint, recent))
        if (of_address or 0) >= PER_ADDRESS:
            raise TooManyRequests
        if address is None:
            return
        await _queue_up(uow, str(address))
        of_ip = await uow.session.scalar(counting.where(UserToken.requested_ip == address, recent))
        if (of_ip or 0) >= PER_IP:
            raise TooManyRequests

    async def redeem(self, uow: UnitOfWork, purpose: Purpose, secret: str) -> tuple[UserToken, User]:
        """Return the token and its user, both locked; a used token too, the caller decides. Raises `InvalidLink`."""
        token_id = _id_of(secret)
        if token_id is None:
            raise InvalidLink
        user = await uow.session.scalar(
            select(User)
            .join(UserToken, UserToken.user_id == User.id)
            .where(UserToken.id == token_id)
            .with_for_update(key_share=True, of=User)
        )
        token = await uow.session.scalar(
            select(UserToken)
            .where(
                UserToken.id == token_id,
                UserToken.purpose == purpose,
                UserToken.revoked_at.is_(None),
                UserToken.expires_at > func.clock_timestamp(),
            )
            .with_for_update()
        )
        if user is None or token is None or not hmac.compare_digest(secret.encode(), self.secret(token, user).encode()):
            raise InvalidLink
        return token, user


async def _queue_up(uow: UnitOfWork, name: str) -> None:
    """Wait until no other transaction counts the same; ends with this transaction."""
    await uow.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def _id_of(secret: str) -> UUID | None:
    try:
        content = urlsafe_b64decode(secret.encode("ascii"))
    except (binascii.Error, UnicodeEncodeError, ValueError):
        return None
    return UUID(bytes=content[:_ID_BYTES]) if len(content) > _ID_BYTES else None
