"""What networks asked us to wait for, remembered for each account: the next job does not even call."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from domain.models import ProviderThrottle

if TYPE_CHECKING:
    from datetime import datetime

    from domain.models import SocialAccount
    from domain.unit_of_work import UnitOfWork

_SPREAD = 0.1
_SHORTEST = timedelta(seconds=1)  # the rest of a wait is not worth a run of its own


def scope_of(account: SocialAccount) -> str:
    """Name what a limit holds for."""
    return f"{account.provider}:account:{account.id}"


async def wait_left(uow: UnitOfWork, account: SocialAccount, now: datetime) -> timedelta | None:
    """Return how long the account is still to be left alone, and a little more so that not all come back at once."""
    until = await uow.session.scalar(
        select(ProviderThrottle.blocked_until).where(ProviderThrottle.scope == scope_of(account))
    )
    if until is None or until <= now:
        return None
    return spread(max(until - now, _SHORTEST))


async def remember(uow: UnitOfWork, account: SocialAccount, wait: timedelta) -> None:
    """Write down that the account is to be left alone; a shorter wait never shortens a longer one."""
    until = func.clock_timestamp() + wait
    statement = insert(ProviderThrottle).values(scope=scope_of(account), blocked_until=until)
    await uow.session.execute(
        statement.on_conflict_do_update(
            index_elements=[ProviderThrottle.scope],
            set_={
                "blocked_until": func.greatest(ProviderThrottle.blocked_until, statement.excluded.blocked_until),
                "updated_at": func.clock_timestamp(),
            },
        )
    )


def spread(wait: timedelta) -> timedelta:
    """Make a wait up to a tenth longer."""
    return wait * (1 + random.random() * _SPREAD)  # noqa: S311 - it spreads load and guards nothing
