"""LinkedIn: texts. It refuses the same content again and names the post that has it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from domain.gateways.calls import Caller, words
from domain.gateways.failures import AuthExpired, Duplicate, Rejected, UnknownOutcome
from domain.gateways.networks import Finding, Idempotency, RemotePost, Traits

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import httpx

    from domain.gateways.breakers import Breakers
    from domain.gateways.failures import GatewayError
    from domain.gateways.networks import Draft, File, Grant, Phase, Plan, Renewal
    from domain.gateways.vault import Tokens

PROVIDER = "linkedin"
VERSION = "202606"
_URN = re.compile(r"urn:li:(?:share|ugcPost|activity):\d+")
# Characters that the text format of posts takes for marks.
_MARKS = re.compile(r"([\\|{}@\[\]()<>#*_~])")


class LinkedIn:
    """The versioned posts API."""

    traits = Traits(
        Idempotency.DETECT,
        characters=3000,
        media=0,
        # how long content counts as the same is not documented; ten minutes cover the first retries
        repeatable=timedelta(minutes=10),
    )

    def __init__(self, http: httpx.AsyncClient, breakers: Breakers, *, deadline: timedelta) -> None:
        self._call = Caller(PROVIDER, http, breakers, deadline=deadline, translate=_translate)

    def plan(self, key: UUID, now: datetime) -> Plan:  # noqa: ARG002 - nothing can be chosen here
        """Write nothing down: the content is the key."""
        return {}

    def phase(self, plan: Plan) -> Phase:  # noqa: ARG002 - other networks look
        """There is one step."""
        return "publish"

    async def upload(self, grant: Grant, file: File) -> Plan:  # noqa: ARG002 - as above
        """Refuse: texts only."""
        raise Rejected("only texts are published here", code="media_unsupported")

    async def step(self, grant: Grant, draft: Draft, plan: Plan) -> RemotePost:  # noqa: ARG002 - the content is the key
        """Publish; when the network has this content already, look at the post that it names."""
        content = {
            "author": grant.external_id,
            "commentary": escaped(draft.text),
            "visibility": "PUBLIC",
            "distribution": {
                "feedDistribution": "MAIN_FEED",
                "targetEntities": [],
                "thirdPartyDistributionChannels": [],
            },
            "lifecycleState": "PUBLISHED",
            "isReshareDisabledByAuthor": False,
        }
        try:
            response = await self._call("POST", _url(grant), headers=headers(grant), json=content)
        except Duplicate as error:
            return await self._named(grant, draft, error)
        urn = response.headers.get("x-restli-id", "")
        if not _URN.fullmatch(urn):
            raise UnknownOutcome("the answer does not name the post", code="bad_answer")
        return _remote(urn)

    async def find(self, grant: Grant, draft: Draft, plan: Plan, since: datetime) -> Finding:  # noqa: ARG002 - see below
        """Tell nothing: reading an author's posts takes a permission that the network does not give to applications."""
        return Finding((), complete=False)

    async def renew(self, grant: Grant, tokens: Tokens) -> Renewal:  # noqa: ARG002 - nothing could be exchanged
        """Refuse: refresh tokens are for chosen partners. The user connects the account again."""
        raise AuthExpired("the grant has ended", code="not_renewable")

    async def _named(self, grant: Grant, draft: Draft, refused: Duplicate) -> RemotePost:
        """Take the named post for ours if a call of ours may have made it, and if it exists."""
        found = _URN.search(str(refused))
        if not draft.in_doubt or found is None:
            raise refused
        try:
            await self._call("GET", f"{_url(grant)}/{quote(found.group(), safe='')}", headers=headers(grant))
        except Rejected:  # named, but not there
            raise refused from None
        return _remote(found.group())


def escaped(text: str) -> str:
    """Escape what the text format would take for marks."""
    return _MARKS.sub(r"\\\1", text)


def _remote(urn: str) -> RemotePost:
    return RemotePost(urn, f"https://www.linkedin.com/feed/update/{urn}/")


def _translate(response: httpx.Response) -> GatewayError | None:
    """Know the refusal of content that is there already."""
    if response.status_code != 422 or "DUPLICATE_POST" not in response.text:  # noqa: PLR2004 - HTTP's number
        return None
    return Duplicate(words(response), code="duplicate_post", status=response.status_code)


def _url(grant: Grant) -> str:
    return f"{grant.base_url.rstrip('/')}/rest/posts"


def headers(grant: Grant) -> dict[str, str]:
    """Return what lets us in, and which edition of the API we speak."""
    return {
        "Authorization": f"Bearer {grant.access}",
        "LinkedIn-Version": VERSION,
        "X-Restli-Protocol-Version": "2.0.0",
    }
