"""Mastodon: the numbers of statuses and accounts, and the answers to a status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel

from domain.gateways.calls import Caller, Shape, read
from domain.gateways.mastodon import PROVIDER
from domain.gateways.plaintext import plain
from domain.gateways.reading import AccountNumbers, CommentPage, Count, PostNumbers, RemoteComment, Text

if TYPE_CHECKING:
    from datetime import timedelta

    import httpx

    from domain.gateways.breakers import Breakers
    from domain.gateways.networks import Grant


class _Counted(BaseModel):
    favourites_count: Count | None = None
    reblogs_count: Count | None = None
    replies_count: Count | None = None


class _Account(BaseModel):
    id: str
    acct: Text = ""
    avatar: Text = ""
    followers_count: Count | None = None
    following_count: Count | None = None
    statuses_count: Count | None = None


class _Status(BaseModel):
    id: str
    in_reply_to_id: str | None = None
    account: _Account
    content: str
    url: str | None = None
    created_at: AwareDatetime
    edited_at: AwareDatetime | None = None

    def comment(self) -> RemoteComment:
        return RemoteComment(
            self.id,
            self.in_reply_to_id,
            self.account.id,
            f"@{self.account.acct}",
            plain(self.content),
            self.url,
            self.created_at,
            self.edited_at,
        )


class _Thread(BaseModel):
    descendants: list[_Status]


class MastodonReader:
    """Reads from any Mastodon server."""

    def __init__(self, http: httpx.AsyncClient, breakers: Breakers, *, deadline: timedelta) -> None:
        self._call = Caller(PROVIDER, http, breakers, deadline=deadline)

    async def post_numbers(self, grant: Grant, external_id: str) -> PostNumbers:
        """Read the numbers of a status; impressions are not told."""
        found = await self._read(grant, f"/api/v1/statuses/{external_id}", _Counted)
        return PostNumbers(
            None, found.favourites_count, found.reblogs_count, found.replies_count, found.model_dump(mode="json")
        )

    async def account_numbers(self, grant: Grant) -> AccountNumbers:
        """Read the numbers of the account."""
        found = await self._read(grant, f"/api/v1/accounts/{grant.external_id}", _Account)
        handle = f"@{found.acct}" if found.acct else ""
        return AccountNumbers(
            found.followers_count,
            found.following_count,
            found.statuses_count,
            handle,
            found.avatar,
            found.model_dump(mode="json"),
        )

    async def comments(self, grant: Grant, external_id: str, cursor: str | None) -> CommentPage:  # noqa: ARG002 - there is one page
        """Read all answers: at most 4,096 of them are given, in one page."""
        found = await self._read(grant, f"/api/v1/statuses/{external_id}/context", _Thread)
        return CommentPage(tuple(status.comment() for status in found.descendants), None)

    async def _read(self, grant: Grant, path: str, shape: type[Shape]) -> Shape:
        headers = {"Authorization": f"Bearer {grant.access}"}
        response = await self._call("GET", grant.base_url.rstrip("/") + path, headers=headers)
        return read(shape, response, "what was asked for")
