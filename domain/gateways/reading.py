"""What networks tell of what is published: numbers and answers. None: not told, which is not zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import AfterValidator, Field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from domain.gateways.networks import Grant


Text = Annotated[str, AfterValidator(lambda said: said.replace("\x00", ""))]
"""What somebody wrote, as PostgreSQL can store it."""
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
"""A number, as PostgreSQL can store it."""


@dataclass(frozen=True, slots=True)
class PostNumbers:
    """The numbers of a post, absolute."""

    impressions: int | None
    likes: int | None
    reposts: int | None
    replies: int | None
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AccountNumbers:
    """The numbers of an account, absolute, and how it presents itself; empty: not told."""

    followers: int | None
    following: int | None
    posts: int | None
    handle: str
    avatar_url: str
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RemoteComment:
    """An answer to a post."""

    external_id: str
    parent_external_id: str | None
    author_external_id: str
    author_handle: str
    """Empty: the network did not say."""
    text: str
    """Plain."""
    permalink: str | None
    posted_at: datetime
    edited_at: datetime | None


@dataclass(frozen=True, slots=True)
class CommentPage:
    """Some of the answers; ``cursor`` None: there are no more."""

    comments: tuple[RemoteComment, ...]
    cursor: str | None
    whole: bool = True
    """Nothing was left out of this page: what is not on any page is gone."""


class Reader(Protocol):
    """Reads one network. Every call ends within the deadline and raises nothing but `GatewayError`."""

    async def post_numbers(self, grant: Grant, external_id: str) -> PostNumbers:
        """Read the numbers of a post."""

    async def account_numbers(self, grant: Grant) -> AccountNumbers:
        """Read the numbers of the account itself."""

    async def comments(self, grant: Grant, external_id: str, cursor: str | None) -> CommentPage:
        """Read a page of the answers to a post."""


@dataclass(frozen=True, slots=True)
class Readers:
    """The networks that can be read, by the name that accounts carry."""

    by_provider: Mapping[str, Reader]

    def of(self, provider: str) -> Reader:
        """Return a network's reader."""
        return self.by_provider[provider]
