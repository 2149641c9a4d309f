"""What nobody asks for and everybody needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.use_cases.maintenance.purging import PurgeExpiredRecords

if TYPE_CHECKING:
    from domain.contexts import Parts


@dataclass(frozen=True, slots=True)
class Maintenance:
    """The use cases of this context."""

    purge_expired_records: PurgeExpiredRecords


def maintenance(parts: Parts) -> Maintenance:
    """Put the context together."""
    return Maintenance(purge_expired_records=PurgeExpiredRecords(parts.units, parts.storage))
