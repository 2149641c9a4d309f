"""Mastodon: publishing with an idempotency key, and looking at what an account has published."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, RootModel

from domain.gateways.calls import Caller, read
from domain.gateways.failures import AuthExpired, UnknownOutcome
from domain.gateways.networks import Finding, Idempotency, RemotePost, Traits

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import httpx

    from domain.gateways.breakers import Breakers
    from domain.gateways.networks import Draft, File, Grant, Phase, Plan, Renewal
    from domain.gateways.vault import Tokens

PROVIDER = "mastodon"
_PAGE = 40
_PAGES = 5


class _Status(BaseModel):
    id: str
    url: str
    content: str
    created_at: AwareDatetime

    def remote(self) -> RemotePost:
        return RemotePost(self.id, self.url)


class _Upload(BaseModel):
    id: str


class _Statuses(RootModel[list[_Status]]):
    """A page of them."""


class Mastodon:
    """The API of any Mastodon server."""

    traits = Traits(
        Idempotency.KEY,
        characters=500,
        media=4,
        # a key is remembered for an hour; five minutes for clocks and for the call itself
        repeatable=timedelta(minutes=55),
    )

    def __init__(self, http: httpx.AsyncClient, breakers: Breakers, *, deadline: timedelta) -> None:
        self._call = Caller(PROVIDER, http, breakers, deadline=deadline)

    def plan(self, key: UUID, now: datetime) -> Plan:  # noqa: ARG002 - other networks want a time
        """Choose the key."""
        return {"key": str(key)}

    def phase(self, plan: Plan) -> Phase:  # noqa: ARG002 - other networks look
        """There is one step."""
        return "publish"

    async def upload(self, grant: Grant, file: File) -> Plan:
        """Hand a file over; the status refers to it by its id."""
        response = await self._call(
            "POST",
            _url(grant, "/api/v2/media"),
            headers=_headers(grant),
            files={"file": ("file", await file.load(), file.media_type)},
            data={"description": file.alt_text},
        )
        return {"id": read(_Upload, response, "an uploaded file").id}

    async def step(self, grant: Grant, draft: Draft, plan: Plan) -> RemotePost:
        """Publish. The same key within an hour gives the same status again instead of a second one."""
        content: Plan = {"status": draft.text}
        if draft.media:
            content["media_ids"] = [media["id"] for media in draft.media]
        headers = _headers(grant) | {"Idempotency-Key": plan["key"]}
        response = await self._call("POST", _url(grant, "/api/v1/statuses"), headers=headers, json=content)
        return read(_Status, response, "a status", UnknownOutcome).remote()

    async def find(self, grant: Grant, draft: Draft, plan: Plan, since: datetime) -> Finding:  # noqa: ARG002 - the key does not help any more
        """Read the account's statuses back to a moment, or as far as we are willing to."""
        found: list[_Status] = []
        complete = False
        for _ in range(_PAGES):
            params = {"limit": str(_PAGE)} | ({"max_id": found[-1].id} if found else {})
            url = _url(grant, f"/api/v1/accounts/{grant.external_id}/statuses")
            response = await self._call("GET", url, headers=_headers(grant), params=params)
            page = read(_Statuses, response, "a list of statuses").root
            found += page
            complete = not page or page[-1].created_at < since
            if complete:
                break
        wanted = folded(draft.text)
        ours = [each for each in found if each.created_at >= since and folded(_plain(each.content)) == wanted]
        return Finding(tuple(status.remote() for status in ours), complete=complete)

    async def renew(self, grant: Grant, tokens: Tokens) -> Renewal:  # noqa: ARG002 - nothing could be exchanged
        """Refuse: these tokens do not expire, so one that is refused was taken back."""
        raise AuthExpired("the account does not let us in any more", code="revoked")


def folded(text: str) -> str:
    """Fold what networks change in a text: white space."""
    return " ".join(text.split())


def _url(grant: Grant, path: str) -> str:
    return grant.base_url.rstrip("/") + path


def _headers(grant: Grant) -> dict[str, str]:
    return {"Authorization": f"Bearer {grant.access}"}


class _Text(HTMLParser):
    """Collects what a reader would see of a status."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the base class's signature
        if tag in {"p", "br"}:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def _plain(content: str) -> str:
    parser = _Text()
    parser.feed(content)
    parser.close()
    return "".join(parser.parts).strip()
