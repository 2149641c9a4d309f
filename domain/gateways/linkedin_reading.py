"""LinkedIn: reactions and comments of posts, followers of organizations. Of members it tells a name and a picture."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from pydantic import BaseModel, Field

from domain.gateways.calls import Caller, Shape, read
from domain.gateways.linkedin import PROVIDER, headers
from domain.gateways.reading import AccountNumbers, CommentPage, Count, PostNumbers, RemoteComment, Text

if TYPE_CHECKING:
    import httpx

    from domain.gateways.breakers import Breakers
    from domain.gateways.networks import Grant

_PAGE = 50
_ORGANIZATION = "urn:li:organization:"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Count(BaseModel):
    count: Count


class _Metadata(BaseModel):
    reactions: dict[str, _Count] | None = Field(None, alias="reactionSummaries")
    comments: _Count | None = Field(None, alias="commentSummary")


class _Member(BaseModel):
    name: Text = ""
    picture: Text = ""


class _Network(BaseModel):
    followers: Count | None = Field(None, alias="firstDegreeSize")


class _Message(BaseModel):
    text: Text = ""


class _Stamp(BaseModel):
    time: Annotated[int, Field(ge=0, lt=1 << 47)]
    """Milliseconds; what is bigger is no date."""

    @property
    def moment(self) -> datetime:
        return _EPOCH + timedelta(milliseconds=self.time)


class _Comment(BaseModel):
    id: str
    urn: str | None = Field(None, alias="commentUrn")
    actor: str
    message: _Message = _Message()
    created: _Stamp
    modified: _Stamp | None = Field(None, alias="lastModified")

    def comment(self, parent: str) -> RemoteComment:
        edited = self.modified if self.modified and self.modified.time > self.created.time else None
        return RemoteComment(
            self.urn or self.id,
            parent,
            self.actor,
            "",  # names take a permission that applications do not get
            self.message.text,
            None,
            self.created.moment,
            edited.moment if edited else None,
        )


class _Comments(BaseModel):
    elements: list[_Comment]


class LinkedInReader:
    """Reads posts of members and organizations, where the grant covers that."""

    def __init__(self, http: httpx.AsyncClient, breakers: Breakers, *, deadline: timedelta) -> None:
        self._call = Caller(PROVIDER, http, breakers, deadline=deadline)

    async def post_numbers(self, grant: Grant, external_id: str) -> PostNumbers:
        """Read the numbers of a post: reactions of all kinds are likes; impressions and reposts are not told."""
        found = await self._read(grant, f"rest/socialMetadata/{quote(external_id, safe='')}", _Metadata)
        reactions = None if found.reactions is None else sum(each.count for each in found.reactions.values())
        replies = found.comments.count if found.comments else None
        return PostNumbers(None, reactions, None, replies, found.model_dump())

    async def account_numbers(self, grant: Grant) -> AccountNumbers:
        """Read the followers of an organization; of a member no numbers are told."""
        if grant.external_id.startswith(_ORGANIZATION):
            path = f"rest/networkSizes/{quote(grant.external_id, safe='')}"
            size = await self._read(grant, path, _Network, edgeType="COMPANY_FOLLOWED_BY_MEMBER")
            return AccountNumbers(size.followers, None, None, "", "", size.model_dump())
        member = await self._read(grant, "v2/userinfo", _Member)
        return AccountNumbers(None, None, None, member.name, member.picture, {})

    async def comments(self, grant: Grant, external_id: str, cursor: str | None) -> CommentPage:
        """Read a page of the comments on a post. Answers to comments are on lists of their own and are not read."""
        start = int(cursor or 0)
        path = f"rest/socialActions/{quote(external_id, safe='')}/comments"
        found = (await self._read(grant, path, _Comments, start=str(start), count=str(_PAGE))).elements
        more = str(start + len(found)) if len(found) == _PAGE else None  # a page that is not full is the last one
        return CommentPage(tuple(comment.comment(external_id) for comment in found), more)

    async def _read(self, grant: Grant, path: str, shape: type[Shape], **params: str) -> Shape:
        address = f"{grant.base_url.rstrip('/')}/{path}"
        response = await self._call("GET", address, headers=headers(grant), params=params)
        return read(shape, response, "what was asked for")
