"""Everything that can happen in the domain, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class _PublicationEnded:
    scheduled_post_id: UUID
    generation: int
    """The number of the attempt that ended it: a later attempt is news again."""
    audience: tuple[UUID, ...]
    """The users who are to know: the author and the organization's administrators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPublished(_PublicationEnded):
    """The network has the post."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPublishFailed(_PublicationEnded):
    """The network does not have the post and will not get it without a human."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPublishUnconfirmed(_PublicationEnded):
    """Nobody can tell whether the network has the post."""


Event = PostPublished | PostPublishFailed | PostPublishUnconfirmed
