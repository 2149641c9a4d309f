"""What the networks told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime
    from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PostMetricsCaptured:
    """The numbers of a post at a moment are stored."""

    scheduled_post_id: UUID
    bucket: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMetricsCaptured:
    """The numbers of an account on a day are stored."""

    social_account_id: UUID
    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentsCaptured:
    """Comments that were not known before; one event for each reading, not for each comment."""

    scheduled_post_id: UUID
    comment_ids: tuple[UUID, ...]
    """The first ones, as many as an event may carry."""
    new: int
    """How many there were in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingStored:
    """A text can be found by its meaning."""

    subject_type: str
    subject_id: UUID
