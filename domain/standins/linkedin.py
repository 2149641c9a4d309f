"""LinkedIn's posts API as far as we use it: the same content again is refused, and the refusal names a post."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from domain.standins.consent import Consent
from domain.standins.networks import Answer, Call, NetworkStandIn

_SIXTY_DAYS = 60 * 86_400


class LinkedInStandIn(NetworkStandIn):
    """Members and their posts."""

    def __init__(self) -> None:
        super().__init__()
        self.consent = Consent()
        self._members: dict[str, str] = {}
        self._issued = 0
        self.hidden: set[str] = set()
        """Posts that are named in refusals, but not found: there are reports of such."""

    def add_account(self, name: str, token: str) -> str:
        """Open an account and return its URN."""
        with self.lock:
            self._members[token] = f"urn:li:person:{name}"
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
        urn = unquote(call.path.removeprefix("/rest/posts/"))
        if any(post["urn"] == urn for post in self.posts) and urn not in self.hidden:
            return Answer({"id": urn})
        return Answer({"code": "NOT_FOUND"}, HTTPStatus.NOT_FOUND)

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
                message = f"Content is a duplicate of {post['urn']}"
                refused = {"code": "DUPLICATE_POST", "message": message, "status": 422}
                return Answer(refused, HTTPStatus.UNPROCESSABLE_ENTITY)
        urn = f"urn:li:share:{7_000_000_000 + len(self.posts)}"
        text = re.sub(r"\\(.)", r"\1", body["commentary"])  # a reserved character comes behind a backslash
        self.posts.append({"urn": urn, "author": member, "commentary": body["commentary"], "text": text})
        return Answer({}, HTTPStatus.CREATED, {"x_restli_id": urn})
