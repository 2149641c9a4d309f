"""Bluesky: the numbers of posts and accounts, and the thread under a post. The account's server passes the calls on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, Field

from domain.gateways.bluesky import PROVIDER, headers, page, translate, url
from domain.gateways.calls import Caller, Shape, read
from domain.gateways.failures import Gone
from domain.gateways.reading import AccountNumbers, CommentPage, Count, PostNumbers, RemoteComment, Text

if TYPE_CHECKING:
    from datetime import timedelta

    import httpx

    from domain.gateways.breakers import Breakers
    from domain.gateways.networks import Grant

_DEPTH = 20


class _Author(BaseModel):
    did: str
    handle: Text = ""


class _Record(BaseModel):
    text: Text = ""


class _Post(BaseModel):
    uri: str
    author: _Author
    record: _Record = _Record()
    # when the network saw it: the time in the record is whatever its author's program said
    seen_at: AwareDatetime = Field(alias="indexedAt")
    likes: Count | None = Field(None, alias="likeCount")
    reposts: Count | None = Field(None, alias="repostCount")
    replies: Count | None = Field(None, alias="replyCount")
    quotes: Count | None = Field(None, alias="quoteCount")

    def comment(self, parent: str) -> RemoteComment:
        return RemoteComment(
            self.uri,
            parent,
            self.author.did,
            f"@{self.author.handle}",
            self.record.text,
            page(self.author.did, self.uri),
            self.seen_at,
            edited_at=None,
        )


class _Posts(BaseModel):
    posts: list[_Post]


class _Node(BaseModel):
    """A post of a thread; without one: it was deleted, or its author and we do not see each other."""

    post: _Post | None = None
    replies: list[_Node] | None = None


class _Thread(BaseModel):
    thread: _Node


class _Profile(BaseModel):
    handle: Text = ""
    avatar: Text = ""
    followers: Count | None = Field(None, alias="followersCount")
    following: Count | None = Field(None, alias="followsCount")
    posts: Count | None = Field(None, alias="postsCount")


class BlueskyReader:
    """Reads through any AT Protocol server."""

    def __init__(self, http: httpx.AsyncClient, breakers: Breakers, *, deadline: timedelta) -> None:
        self._call = Caller(PROVIDER, http, breakers, deadline=deadline, translate=translate)

    async def post_numbers(self, grant: Grant, external_id: str) -> PostNumbers:
        """Read the numbers of a post; impressions are not told."""
        found = (await self._read(grant, "app.bsky.feed.getPosts", _Posts, uris=external_id)).posts
        if not found:
            raise Gone("the network has no such post", code="not_found")
        counts = found[0].model_dump(mode="json", include={"likes", "reposts", "replies", "quotes"})
        return PostNumbers(None, found[0].likes, found[0].reposts, found[0].replies, counts)

    async def account_numbers(self, grant: Grant) -> AccountNumbers:
        """Read the numbers of the account."""
        found = await self._read(grant, "app.bsky.actor.getProfile", _Profile, actor=grant.external_id)
        handle = f"@{found.handle}" if found.handle else ""
        raw = found.model_dump(mode="json")
        return AccountNumbers(found.followers, found.following, found.posts, handle, found.avatar, raw)

    async def comments(self, grant: Grant, external_id: str, cursor: str | None) -> CommentPage:  # noqa: ARG002 - there is one page
        """Read the thread, in one page: answers to answers down to a depth."""
        params = {"uri": external_id, "depth": str(_DEPTH), "parentHeight": "0"}
        top = (await self._read(grant, "app.bsky.feed.getPostThread", _Thread, **params)).thread
        if top.post is None:
            raise Gone("the network has no such post", code="not_found")
        comments: list[RemoteComment] = []
        whole = True
        level = [(top.post, top.replies)]
        while level:
            below: list[tuple[_Post, list[_Node] | None]] = []
            for parent, replies in level:
                # a post at the end of what was asked for says that there are answers, and shows none
                whole = whole and (replies is not None or not parent.replies)
                below += [(node.post, node.replies) for node in replies or () if node.post is not None]
                comments += [node.post.comment(parent.uri) for node in replies or () if node.post is not None]
            level = below
        return CommentPage(tuple(comments), None, whole)

    async def _read(self, grant: Grant, method: str, shape: type[Shape], **params: str) -> Shape:
        address = url(grant.base_url, method)
        response = await self._call("GET", address, headers=headers(grant.access), params=params)
        return read(shape, response, "what was asked for")
