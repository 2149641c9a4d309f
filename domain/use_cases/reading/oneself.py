"""WhoAmI, and CheckHealth for machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from domain.models import User
from domain.use_cases.reading.pages import NotFound

if TYPE_CHECKING:
    from domain.unit_of_work import UnitsOfWork
    from pgqueue import Context


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """The caller's own data."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> User:
        """Return them. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            user = await uow.session.get(User, uow.user_id)
            if user is None:
                raise NotFound("there is no such user")
            return user


@dataclass(frozen=True, slots=True)
class CheckHealth:
    """Find out whether the database answers."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> None:
        """Return if it does; raise what the driver raises if it does not."""
        async with self.units.begin(context) as uow:
            await uow.session.execute(text("SELECT 1"))
