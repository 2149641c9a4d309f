"""LinkedIn's posts API as far as we use it: the same content again is refused, and the refusal names a post."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from domain.standins.audience import told
from domain.standins.consent import Consent
from domain.standins.networks import Answer, Call, NetworkStandIn

_SIXTY_DAYS = 60 * 86_400


class LinkedInStandIn(NetworkStandIn):
    """Members and their posts."""

    def __init__(self) -> None:
        super().__init__()
        self.consent = Consent()
        self._members: dict[str, str] = {}
        self._readers: set[str] = set()
        self._issued = 0
        self.hidden: set[str] = set()
        """Posts that are named in refusals, but not found: there are reports of such."""

    def add_account(self, name: str, token: str, *, kind: str = "person", reads: bool = True) -> str:
        """Open an account of a ``person`` or an ``organization`` and return its URN; ``reads``: the token may read."""
        with self.lock:
            self._members[token] = f"urn:li:{kind}:{name}"
            (self._readers.add if reads else self._readers.discard)(token)
            return self._members[token]

    def command(self, name: str, content: dict[str, Any]) -> object:
        """Do what the control port was asked."""
        if name == "accounts":
            return {"id": self.add_account(content["acct"], content["token"])}
        if name == "visitor":
            self.consent.visitor = content["acct"]
            return {}
        return super().command(name, content)

    def refuse(self, kind: str) -> Answer:
        """Refuse as the API does."""
        if kind == "unauthorized":
            return Answer({"code": "EXPIRED_ACCESS_TOKEN"}, HTTPStatus.UNAUTHORIZED)
        return Answer({"code": "INVALID_CONTENT"}, HTTPStatus.UNPROCESSABLE_ENTITY)

    def answer(self, call: Call) -> Answer:
        """Serve the posts, who a member is, and how one lets us in."""
        match call.method, call.path:
            case "GET", "/oauth/v2/authorization":
                return self.consent.authorize(call.query)
            case "POST", "/oauth/v2/accessToken":
                return self._let_in(call.body)
        member = self._members.get(call.token)
        return self.refuse("unauthorized") if member is None else self._of(member, call)

    def _of(self, member: str, call: Call) -> Answer:
        if call.path == "/v2/userinfo":
            sub = member.rpartition(":")[2]
            return Answer({"sub": sub, "name": sub.title(), "picture": "https://media.example/p.jpg"})
        if call.method == "POST" and call.path == "/rest/posts":
            return self._create(member, call.body)
        path = unquote(call.path).removeprefix("/rest/").split("/")
        if path[0] != "posts" and call.token not in self._readers:
            return Answer({"code": "ACCESS_DENIED"}, HTTPStatus.FORBIDDEN)
        found = self._shown(member, path, call.query)
        return Answer({"code": "NOT_FOUND"}, HTTPStatus.NOT_FOUND) if found is None else Answer(found)

    def _shown(self, member: str, path: list[str], query: dict[str, str]) -> dict[str, Any] | None:
        match path:
            case ["posts", urn] if self.find(urn) and urn not in self.hidden:
                return {"id": urn}
            case ["networkSizes", urn] if urn == member and "edgeType" in query:
                return {"firstDegreeSize": 3}
            case ["socialMetadata", urn] if self.find(urn):
                return self._metadata(urn)
            case ["socialActions", urn, "comments"] if self.find(urn):
                return self._comments(urn, query)
        return None

    def _metadata(self, urn: str) -> dict[str, Any]:
        numbers = self.audience.numbers(urn)
        likes = told(LIKE=numbers["likes"])
        reactions = {name: {"reactionType": name, "count": count} for name, count in likes.items() if count}
        replies = told(count=numbers["replies"])
        shown = {"commentsState": "OPEN", "commentSummary": replies | {"topLevelCount": 0}, "entity": urn}
        return shown | ({"reactionSummaries": reactions} if likes else {})

    def _comments(self, urn: str, query: dict[str, str]) -> dict[str, Any]:
        start, count = int(query.get("start", "0")), int(query.get("count", "10"))
        found = [each for each in self.audience.answers(urn) if each.parent_id is None]
        elements = [
            {
                "id": each.id,
                "commentUrn": f"urn:li:comment:({urn},{each.id})",
                "actor": each.author_id if each.author_id.startswith("urn:") else f"urn:li:person:{each.author_id}",
                "message": {"attributes": [], "text": each.text},
                "created": {"time": int(each.created_at.timestamp() * 1000)},
                "lastModified": {"time": int(each.created_at.timestamp() * 1000)},
            }
            for each in found[start : start + count]
        ]
        return {"elements": elements, "paging": {"start": start, "count": count, "links": []}}

    def _let_in(self, form: Any) -> Answer:
        found = self.consent.redeem(form)
        if isinstance(found, Answer):
            return found
        self._issued += 1
        token = f"member-token-{self._issued}"
        self._members[token] = f"urn:li:person:{found}"
        return Answer({"access_token": token, "expires_in": _SIXTY_DAYS, "scope": "openid,profile,w_member_social"})

    def _create(self, member: str, body: dict[str, Any]) -> Answer:
        if body["author"] != member:
            return Answer({"code": "ACCESS_DENIED"}, HTTPStatus.FORBIDDEN)
        for post in self.posts:
            if (post["author"], post["commentary"]) == (member, body["commentary"]):
                message = f"Content is a duplicate of {post['id']}"
                refused = {"code": "DUPLICATE_POST", "message": message, "status": 422}
                return Answer(refused, HTTPStatus.UNPROCESSABLE_ENTITY)
        urn = f"urn:li:share:{7_000_000_000 + len(self.posts)}"
        text = re.sub(r"\\(.)", r"\1", body["commentary"])  # a reserved character comes behind a backslash
        self.posts.append({"id": urn, "author": member, "commentary": body["commentary"], "text": text})
        return Answer({}, HTTPStatus.CREATED, {"x_restli_id": urn})
