"""Instagram (Graph API): the numbers of media and accounts, and the comments on a medium, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, Field

from domain.gateways.calls import Caller, Shape, read
from domain.gateways.failures import Rejected
from domain.gateways.instagram import PROVIDER, headers, translate, url
from domain.gateways.reading import AccountNumbers, CommentPage, Count, PostNumbers, RemoteComment, Text

if TYPE_CHECKING:
    from datetime import timedelta

    import httpx

    from domain.gateways.breakers import Breakers
    from domain.gateways.networks import Grant

_PAGE = 50
_COMMENT = "id,text,timestamp,username,from,user"


class _Media(BaseModel):
    like_count: Count | None = None
    comments_count: Count | None = None


class _Value(BaseModel):
    value: Count | None = None


class _Insight(BaseModel):
    name: str
    values: list[_Value] = []


class _Insights(BaseModel):
    data: list[_Insight]

    def of(self, name: str) -> int | None:
        found = [insight.values[0].value for insight in self.data if insight.name == name and insight.values]
        return found[0] if found else None


class _Account(BaseModel):
    username: Text = ""
    profile_picture_url: Text = ""
    followers_count: Count | None = None
    follows_count: Count | None = None
    media_count: Count | None = None


class _Person(BaseModel):
    id: str


class _Cursors(BaseModel):
    after: str | None = None


class _Paging(BaseModel):
    cursors: _Cursors = _Cursors()
    next: str | None = None


class _Comment(BaseModel):
    id: str
    text: Text = ""
    timestamp: AwareDatetime
    username: Text = ""
    author: _Person | None = Field(None, alias="from")
    user: _Person | None = None
    """Only given when the account itself wrote it."""
    replies: _Comments | None = None

    def comment(self, grant: Grant, parent: str) -> RemoteComment:
        author = grant.external_id if self.user else self.author.id if self.author else self.username
        return RemoteComment(
            self.id, parent, author, f"@{self.username}", self.text, None, self.timestamp, edited_at=None
        )


class _Comments(BaseModel):
    data: list[_Comment] = []
    paging: _Paging = _Paging()


class InstagramReader:
    """Reads professional accounts."""

    def __init__(self, http: httpx.AsyncClient, breakers: Breakers, *, deadline: timedelta) -> None:
        self._call = Caller(PROVIDER, http, breakers, deadline=deadline, translate=translate)

    async def post_numbers(self, grant: Grant, external_id: str) -> PostNumbers:
        """Read the numbers of a medium. Views and shares take a permission of their own, and some views."""
        media = await self._read(grant, external_id, _Media, fields="like_count,comments_count")
        try:
            insights = await self._read(grant, f"{external_id}/insights", _Insights, metric="views,shares")
        except Rejected:
            insights = _Insights(data=[])
        views, shares = insights.of("views"), insights.of("shares")
        raw = media.model_dump() | {"views": views, "shares": shares}
        return PostNumbers(views, media.like_count, shares, media.comments_count, raw)

    async def account_numbers(self, grant: Grant) -> AccountNumbers:
        """Read the numbers of the account."""
        fields = "username,profile_picture_url,followers_count,follows_count,media_count"
        found = await self._read(grant, grant.external_id, _Account, fields=fields)
        handle = f"@{found.username}" if found.username else ""
        return AccountNumbers(
            found.followers_count,
            found.follows_count,
            found.media_count,
            handle,
            found.profile_picture_url,
            found.model_dump(),
        )

    async def comments(self, grant: Grant, external_id: str, cursor: str | None) -> CommentPage:
        """Read a page of comments, and of the answers to each as many as a page has."""
        params = {"fields": f"{_COMMENT},replies.limit({_PAGE}){{{_COMMENT}}}", "limit": str(_PAGE)}
        if cursor is not None:
            params["after"] = cursor
        found = await self._read(grant, f"{external_id}/comments", _Comments, **params)
        comments: list[RemoteComment] = []
        whole = True
        for top in found.data:
            comments.append(top.comment(grant, external_id))
            if top.replies is not None:
                comments += [reply.comment(grant, top.id) for reply in top.replies.data]
                whole = whole and top.replies.paging.next is None
        after = found.paging.cursors.after if found.paging.next is not None else None
        return CommentPage(tuple(comments), after, whole)

    async def _read(self, grant: Grant, path: str, shape: type[Shape], **params: str) -> Shape:
        response = await self._call("GET", url(grant, path), headers=headers(grant), params=params)
        return read(shape, response, "what was asked for")
