"""What time it is: the database says so, as workers' clocks may be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import DateTime, func, select

if TYPE_CHECKING:
    from datetime import datetime

    from domain.unit_of_work import UnitOfWork


async def database_now(uow: UnitOfWork) -> datetime:
    """Return the database's time."""
    return (await uow.session.scalars(select(func.clock_timestamp(type_=DateTime(timezone=True))))).one()
