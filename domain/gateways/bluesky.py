"""Bluesky (AT Protocol): posts under a record key of our own choice, so that a repeat writes the same record again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import httpx
from pydantic import BaseModel, Field, ValidationError

from domain.gateways.calls import Caller, read, words
from domain.gateways.failures import AuthExpired, GatewayError, Gone, Rejected, Transient, UnknownOutcome
from domain.gateways.networks import Finding, Grant, Idempotency, RemotePost, Renewal, Traits
from domain.gateways.richtext import facets, graphemes
from domain.gateways.tids import tid
from domain.gateways.vault import Tokens

if TYPE_CHECKING:
    from uuid import UUID

    from domain.gateways.breakers import Breakers
    from domain.gateways.networks import Draft, File, Phase, Plan

PROVIDER = "bluesky"
COLLECTION = "app.bsky.feed.post"
# Session tokens do not say in the answer when they end; the reference server gives them two hours.
_ACCESS_LASTS = timedelta(hours=2)
_NAMES: dict[str, type[GatewayError]] = {
    "ExpiredToken": AuthExpired,
    "InvalidToken": AuthExpired,
    "NotFound": Gone,
    "RecordNotFound": Gone,
}


class _Session(BaseModel):
    did: str
    handle: str = ""
    access: str = Field(alias="accessJwt")
    refresh: str = Field(alias="refreshJwt")


class SignedIn(NamedTuple):
    """Whose session it is, and what it is made of."""

    did: str
    handle: str
    renewal: Renewal


class _Record(BaseModel):
    uri: str


class _Blob(BaseModel):
    blob: dict[str, object]


class _Refusal(BaseModel):
    error: str = ""


class Bluesky:
    """The API of any AT Protocol server (PDS)."""

    traits = Traits(
        Idempotency.CHOSEN_ID,
        characters=300,
        media=4,
        length=graphemes,
        renew_early=timedelta(minutes=15),
    )

    def __init__(self, http: httpx.AsyncClient, breakers: Breakers, *, deadline: timedelta) -> None:
        self._call = Caller(PROVIDER, http, breakers, deadline=deadline, translate=translate)

    async def sign_in(self, base_url: str, identifier: str, password: str) -> SignedIn:
        """Open a session with an app password.

        Servers allow few of these a day: it is done once, when the account is connected.
        """
        content = {"identifier": identifier, "password": password}
        address = url(base_url, "com.atproto.server.createSession")
        session = read(_Session, await self._call("POST", address, json=content, reads=True), "a session")
        return SignedIn(session.did, session.handle, _renewal(session))

    def plan(self, key: UUID, now: datetime) -> Plan:
        """Choose the record's key and time: the record has to be the same, byte for byte, on each attempt."""
        return {
            "rkey": tid(now, key.int),
            "created_at": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }

    def phase(self, plan: Plan) -> Phase:  # noqa: ARG002 - other networks look
        """There is one step."""
        return "publish"

    async def upload(self, grant: Grant, file: File) -> Plan:
        """Hand a file over; the record holds the blob's reference."""
        shown = headers(grant.access) | {"Content-Type": file.media_type}
        address = url(grant.base_url, "com.atproto.repo.uploadBlob")
        response = await self._call("POST", address, headers=shown, content=await file.load())
        return {"image": read(_Blob, response, "a blob").blob, "alt": file.alt_text}

    async def step(self, grant: Grant, draft: Draft, plan: Plan) -> RemotePost:
        """Put the record; the same one again changes nothing."""
        content = {
            "repo": grant.external_id,
            "collection": COLLECTION,
            "rkey": plan["rkey"],
            "record": _record(draft, plan),
        }
        address = url(grant.base_url, "com.atproto.repo.putRecord")
        response = await self._call("POST", address, headers=headers(grant.access), json=content)
        return _remote(grant, response, UnknownOutcome)

    async def find(self, grant: Grant, draft: Draft, plan: Plan, since: datetime) -> Finding:  # noqa: ARG002 - the key alone tells
        """Ask for the record under our key."""
        params = {"repo": grant.external_id, "collection": COLLECTION, "rkey": plan["rkey"]}
        address = url(grant.base_url, "com.atproto.repo.getRecord")
        try:
            response = await self._call("GET", address, headers=headers(grant.access), params=params)
        except Gone:
            return Finding((), complete=True)
        return Finding((_remote(grant, response, Transient),), complete=True)

    async def renew(self, grant: Grant, tokens: Tokens) -> Renewal:
        """Rotate the session's tokens. The old refresh token is good for a while and leads to the same next one."""
        if tokens.refresh is None:
            raise AuthExpired("there is no refresh token", code="no_refresh_token")
        address = url(grant.base_url, "com.atproto.server.refreshSession")
        response = await self._call("POST", address, headers=headers(tokens.refresh), reads=True)
        return _renewal(read(_Session, response, "a session"))


def _record(draft: Draft, plan: Plan) -> Plan:
    record: Plan = {"$type": COLLECTION, "text": draft.text, "createdAt": plan["created_at"]}
    if found := facets(draft.text):
        record["facets"] = found
    if draft.media:
        record["embed"] = {"$type": "app.bsky.embed.images", "images": list(draft.media)}
    return record


def _remote(grant: Grant, response: httpx.Response, failure: type[GatewayError]) -> RemotePost:
    uri = read(_Record, response, "a record", failure).uri
    return RemotePost(uri, page(grant.external_id, uri))


def page(did: str, uri: str) -> str:
    """Return where people see a post."""
    return f"https://bsky.app/profile/{did}/post/{uri.rsplit('/', 1)[-1]}"


def _renewal(session: _Session) -> Renewal:
    return Renewal(Tokens(session.access, session.refresh), datetime.now(UTC) + _ACCESS_LASTS)


def translate(response: httpx.Response) -> GatewayError | None:
    """Know the protocol's own names of errors: a token that has expired is a 400 here."""
    if response.status_code != httpx.codes.BAD_REQUEST:
        return None
    try:
        name = _Refusal.model_validate_json(response.content).error
    except ValidationError:
        return None
    kind = _NAMES.get(name, Rejected)
    return kind(words(response), code=name or "http_400", status=response.status_code)


def url(base_url: str, method: str) -> str:
    """Return where a method is called."""
    return f"{base_url.rstrip('/')}/xrpc/{method}"


def headers(token: str) -> dict[str, str]:
    """Return what lets us in."""
    return {"Authorization": f"Bearer {token}"}
