"""Instagram (Graph API): a container is made, becomes ready, and is published; afterwards it says that it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ValidationError

from domain.gateways.calls import Caller, read, words
from domain.gateways.failures import (
    AuthExpired,
    Gone,
    NotAllowed,
    NotReady,
    RateLimited,
    Rejected,
    Transient,
    UnknownOutcome,
)
from domain.gateways.networks import Finding, Grant, Idempotency, Progress, RemotePost, Renewal, Traits
from domain.gateways.vault import Tokens
from domain.gateways.waiting import requested_wait

if TYPE_CHECKING:
    from uuid import UUID

    import httpx

    from domain.gateways.breakers import Breakers
    from domain.gateways.failures import GatewayError
    from domain.gateways.networks import Draft, File, Phase, Plan

PROVIDER = "instagram"
POLL = timedelta(seconds=20)
# The platform's own numbers of errors.
_BAD_TOKEN = 190
_LIMITED = frozenset({4, 17, 32, 613, *range(80_000, 80_015)})
_NO_OBJECT = (100, 33)
_NOT_ALLOWED = frozenset({10, *range(200, 300)})
_PAGE = 50


class _Made(BaseModel):
    id: str


class _Container(BaseModel):
    status_code: str


class _Post(BaseModel):
    id: str
    caption: str = ""
    permalink: str
    timestamp: AwareDatetime


class _Posts(BaseModel):
    data: list[_Post]


class _Token(BaseModel):
    access_token: str
    expires_in: float


class _Error(BaseModel):
    code: int = 0
    error_subcode: int = 0


class _Refusal(BaseModel):
    error: _Error = _Error()


class Instagram:
    """The Graph API, for professional accounts."""

    traits = Traits(
        Idempotency.TWO_PHASE,
        characters=2200,
        media=1,
        media_needed=True,
        renew_early=timedelta(days=10),
        renew_age=timedelta(hours=24),
    )

    def __init__(self, http: httpx.AsyncClient, breakers: Breakers, *, deadline: timedelta) -> None:
        self._call = Caller(PROVIDER, http, breakers, deadline=deadline, translate=translate)

    def plan(self, key: UUID, now: datetime) -> Plan:  # noqa: ARG002 - nothing can be chosen here
        """Begin without a container."""
        return {}

    def phase(self, plan: Plan) -> Phase:
        """Publish what is known to be ready; until then nothing can become visible."""
        return "publish" if plan.get("ready") else "create"

    async def upload(self, grant: Grant, file: File) -> Plan:  # noqa: ARG002 - the network fetches it
        """Name the address that the network fetches the file from."""
        return {"image_url": await file.link()}

    async def step(self, grant: Grant, draft: Draft, plan: Plan) -> RemotePost | Progress:
        """Make the container, wait for it, or publish it."""
        container = plan.get("container")
        if container is None:
            # an answer that is lost here leaves a container that nobody publishes; it is gone after a day
            return Progress({"container": await self._create(grant, draft)})
        if plan.get("ready"):
            return await self._publish(grant, container)
        status = await self._status(grant, container)
        if status == "IN_PROGRESS":
            raise NotReady("the container is not ready", code="in_progress", wait=POLL)
        if status == "EXPIRED":
            return Progress({})
        if status == "ERROR":
            raise Rejected("the network could not use the file", code="container_error")
        return Progress({"container": container, "ready": True})

    async def find(self, grant: Grant, draft: Draft, plan: Plan, since: datetime) -> Finding:
        """Ask the container whether it was published, and if so the account for what it is now."""
        status = await self._status(grant, plan["container"])
        if status not in {"PUBLISHED", "EXPIRED"}:
            return Finding((), complete=True)
        params = {"fields": "id,caption,permalink,timestamp", "limit": str(_PAGE)}
        address = url(grant, f"{grant.external_id}/media")
        response = await self._call("GET", address, headers=headers(grant), params=params)
        posts = read(_Posts, response, "a list of posts").data
        ours = [post for post in posts if post.timestamp >= since and post.caption.split() == draft.text.split()]
        # a container that says PUBLISHED and a list without it: nobody can tell
        complete = status != "PUBLISHED"
        return Finding(tuple(RemotePost(post.id, post.permalink) for post in ours), complete=complete)

    async def renew(self, grant: Grant, tokens: Tokens) -> Renewal:
        """Exchange a token that is still good for one that lives another sixty days."""
        # documented as a parameter of the address; the composition root keeps httpx from logging addresses
        params = {"grant_type": "ig_refresh_token", "access_token": tokens.access}
        response = await self._call("GET", url(grant, "refresh_access_token"), params=params)
        token = read(_Token, response, "a token")
        return Renewal(Tokens(token.access_token), datetime.now(UTC) + timedelta(seconds=token.expires_in))

    async def _create(self, grant: Grant, draft: Draft) -> str:
        if not draft.media:
            raise Rejected("a post on this network needs a picture", code="media_missing")
        content = {"image_url": draft.media[0]["image_url"], "caption": draft.text}
        address = url(grant, f"{grant.external_id}/media")
        # as reading: it makes nothing that anybody sees
        response = await self._call("POST", address, reads=True, headers=headers(grant), data=content)
        return read(_Made, response, "a container").id

    async def _publish(self, grant: Grant, container: str) -> RemotePost:
        address = url(grant, f"{grant.external_id}/media_publish")
        response = await self._call("POST", address, headers=headers(grant), data={"creation_id": container})
        post_id = read(_Made, response, "a post", UnknownOutcome).id
        return RemotePost(post_id, await self._permalink(grant, post_id))

    async def _permalink(self, grant: Grant, post_id: str) -> str:
        """Ask for the address; a post without one is published all the same."""
        try:
            address = url(grant, post_id)
            response = await self._call("GET", address, headers=headers(grant), params={"fields": "permalink"})
            return str(response.json()["permalink"])
        except (Transient, Rejected, RateLimited, AuthExpired, ValueError, KeyError):
            return ""

    async def _status(self, grant: Grant, container: str) -> str:
        address = url(grant, container)
        response = await self._call("GET", address, headers=headers(grant), params={"fields": "status_code"})
        return read(_Container, response, "a container").status_code


def translate(response: httpx.Response) -> GatewayError | None:
    """Know the platform's own numbers: a bad token and a limit are HTTP 400 here."""
    try:
        error = _Refusal.model_validate_json(response.content).error
    except ValidationError:
        return None
    number, said, status = error.code, words(response), response.status_code
    if number == _BAD_TOKEN:
        return AuthExpired(said, code="graph_190", status=status)
    if number in _LIMITED:
        wait = requested_wait(response.headers, datetime.now(UTC))
        return RateLimited(said, code=f"graph_{number}", wait=wait, status=status)
    if (number, error.error_subcode) == _NO_OBJECT:
        return Gone(said, code="graph_100_33", status=status)
    if number in _NOT_ALLOWED:
        return NotAllowed(said, code=f"graph_{number}", status=status)
    return None


def url(grant: Grant, path: str) -> str:
    """Return where a node or an edge is."""
    return f"{grant.base_url.rstrip('/')}/{path}"


def headers(grant: Grant) -> dict[str, str]:
    """Return what lets us in."""
    return {"Authorization": f"Bearer {grant.access}"}
