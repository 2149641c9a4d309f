"""Posts on the networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationEnded:
    """One attempt to publish is over."""

    scheduled_post_id: UUID
    generation: int
    """The number of the attempt that ended it: a later attempt is news again."""
    audience: tuple[UUID, ...]
    """The users who are to know: the author and the organization's administrators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPublished(PublicationEnded):
    """The network has the post."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPublishFailed(PublicationEnded):
    """The network does not have the post and will not get it without a human."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPublishUnconfirmed(PublicationEnded):
    """Nobody can tell whether the network has the post."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostsPaused:
    """Posts of an organization wait until somebody lets them go on."""

    organization_id: UUID
    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostsResumed:
    """Posts that were paused are scheduled again; those whose time has passed are not."""

    organization_id: UUID
    count: int
    missed: int
