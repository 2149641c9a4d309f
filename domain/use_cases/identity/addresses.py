"""E-mail addresses: what may be one, and how it is looked up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from domain.models import User

if TYPE_CHECKING:
    from domain.unit_of_work import UnitOfWork

_LONGEST = 254
_SHAPE = re.compile(r"[^@\s<>,;:\"()\[\]\\]+@[^@\s<>,;:\"()\[\]\\.]+(\.[^@\s<>,;:\"()\[\]\\.]+)+")


class InvalidAddress(Exception):
    """Text that is no e-mail address; the message is for the user."""


def checked_address(text: str) -> str:
    """Return the address in lower case. Only a mail that arrives proves that it exists."""
    address = text.strip().lower()
    if len(address) > _LONGEST or not address.isprintable() or not _SHAPE.fullmatch(address):
        raise InvalidAddress("this is no e-mail address; write it like ana@example.com")
    return address


async def user_of(uow: UnitOfWork, address: str, *, lock: bool = False) -> User | None:
    """Find who has an address."""
    wanted = select(User).where(func.lower(User.email) == func.lower(address))
    return await uow.session.scalar(wanted.with_for_update(key_share=True) if lock else wanted)
