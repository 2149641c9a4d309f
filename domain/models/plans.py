"""What each plan allows. Code, not a table: a limit changes with the release that knows how to keep it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Plan(StrEnum):
    """What an organization pays for."""

    FREE = "free"
    PRO = "pro"
    BUSINESS = "business"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of everything an organization may have; None: as much as it likes."""

    members: int
    social_accounts: int
    scheduled_posts: int | None
    """Posts that wait to be published, at any moment."""
    webhook_endpoints: int
    storage_bytes: int


_GIB: Final = 1 << 30

LIMITS: Final[Mapping[Plan, Limits]] = {
    Plan.FREE: Limits(members=2, social_accounts=2, scheduled_posts=30, webhook_endpoints=1, storage_bytes=_GIB),
    Plan.PRO: Limits(
        members=10, social_accounts=10, scheduled_posts=1_000, webhook_endpoints=5, storage_bytes=20 * _GIB
    ),
    Plan.BUSINESS: Limits(
        members=100, social_accounts=50, scheduled_posts=None, webhook_endpoints=10, storage_bytes=200 * _GIB
    ),
}


def limits_of(plan: str) -> Limits:
    """Return the limits of an organization's plan."""
    return LIMITS[Plan(plan)]
