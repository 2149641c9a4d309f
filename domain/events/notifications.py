"""What people are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeLeft:
    """Somebody has a notice that is to be mailed, too."""

    notice_id: UUID
    user_id: UUID
