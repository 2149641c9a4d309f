"""The Graph API of Instagram as far as we use it: containers, publishing without any key, tokens that are renewed."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from domain.standins.consent import Consent
from domain.standins.networks import Answer, Call, NetworkStandIn

_SIXTY_DAYS = 60 * 86_400
_BAD_TOKEN = 190


class InstagramStandIn(NetworkStandIn):
    """Accounts, containers and posts. Publishing the same container again makes a second post: nothing is promised."""

    def __init__(self, *, polls: int = 1) -> None:
        """``polls``: how often a container answers that it is not ready."""
        super().__init__()
        self.polls = polls
        self.consent = Consent()
        self._accounts: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._short: dict[str, str] = {}
        self._containers: dict[str, dict[str, Any]] = {}
        self._ids = 0
        self._issued = 0

    def add_account(self, name: str, token: str) -> str:
        """Open an account and return its id."""
        with self.lock:
            account_id = self._names.setdefault(name, str(17_841_400_000 + len(self._names)))
            self._accounts[token] = account_id
            return account_id

    def revoke(self) -> None:
        """Take every grant back."""
        with self.lock:
            self._accounts.clear()

    def expire_containers(self) -> None:
        """Let a day pass for containers that nobody published."""
        with self.lock:
            for container in self._containers.values():
                if container["status"] != "PUBLISHED":
                    container["status"] = "EXPIRED"

    def command(self, name: str, content: dict[str, Any]) -> object:
        """Do what the control port was asked."""
        match name:
            case "accounts":
                return {"id": self.add_account(content["acct"], content["token"])}
            case "visitor":
                self.consent.visitor = content["acct"]
            case "revoke":
                self.revoke()
            case "expire-containers":
                self.expire_containers()
            case _:
                return super().command(name, content)
        return {}

    def refuse(self, kind: str) -> Answer:
        """Refuse as the Graph API does: by its own numbers, with HTTP 400."""
        return _error(_BAD_TOKEN if kind == "unauthorized" else 100)

    def answer(self, call: Call) -> Answer:
        """Serve one node or edge, or one of the steps that lead to a token."""
        match call.method, call.path:
            case "GET", "/oauth/authorize":
                return self.consent.authorize(call.query)
            case "POST", "/oauth/access_token":
                return self._let_in(call.body)
            case "GET", "/access_token":
                return self._exchange(call.query)
        token = call.query.get("access_token", call.token)
        account = self._accounts.get(token)
        return _error(_BAD_TOKEN) if account is None else self._of(account, token, call)

    def _of(self, account: str, token: str, call: Call) -> Answer:
        match call.method, call.path.strip("/").split("/"):
            case "GET", ["refresh_access_token"]:
                return self._renew(token)
            case "POST", [node, "media"] if node == account:
                return self._create(call.body)
            case "POST", [node, "media_publish"] if node == account:
                return self._publish(account, call.body["creation_id"])
            case "GET", [node, "media"] if node == account:
                return Answer({"data": [self._shown(post) for post in reversed(self.posts)]})
            case "GET", [node]:
                return self._person(account) if node == "me" else self._node(node)
        return _error(100)

    def _person(self, account: str) -> Answer:
        name = next(each for each, id_ in self._names.items() if id_ == account)
        return Answer({"id": "1", "user_id": account, "username": name, "name": name.title()})

    def _let_in(self, form: Any) -> Answer:
        """Give a token that lives for an hour and is good for the exchange alone."""
        found = self.consent.redeem(form)
        if isinstance(found, Answer):
            return found
        self._issued += 1
        token = f"short-{self._issued}"
        self._short[token] = found
        given = {"access_token": token, "user_id": self._names[found], "permissions": "instagram_business_basic"}
        return Answer({"data": [given]})

    def _exchange(self, query: dict[str, str]) -> Answer:
        """Give one that lives for sixty days."""
        name = self._short.pop(query.get("access_token", ""), None)
        if name is None or query.get("grant_type") != "ig_exchange_token" or not query.get("client_secret"):
            return _error(_BAD_TOKEN)
        self._issued += 1
        token = f"long-{self._issued}"
        self._accounts[token] = self._names[name]
        return Answer({"access_token": token, "token_type": "bearer", "expires_in": _SIXTY_DAYS})

    def _renew(self, token: str) -> Answer:
        self._issued += 1
        fresh = f"renewed-{self._issued}"
        self._accounts[fresh] = self._accounts.pop(token)
        return Answer({"access_token": fresh, "token_type": "bearer", "expires_in": _SIXTY_DAYS})

    def _next_id(self) -> str:
        self._ids += 1
        return str(18_000_000_000 + self._ids)

    def _create(self, body: dict[str, str]) -> Answer:
        if "image_url" not in body:
            return _error(9004)
        container = self._next_id()
        self._containers[container] = {"status": "IN_PROGRESS", "polls": self.polls, "caption": body["caption"]}
        return Answer({"id": container})

    def _publish(self, account: str, container_id: str) -> Answer:
        container = self._containers.get(container_id)
        if container is None or container["status"] not in {"FINISHED", "PUBLISHED"}:
            return _error(9007)
        container["status"] = "PUBLISHED"
        moment = datetime.now(UTC).isoformat()
        post = {"id": self._next_id(), "account": account, "text": container["caption"], "timestamp": moment}
        self.posts.append(post)
        return Answer({"id": post["id"]})

    def _node(self, node: str) -> Answer:
        container = self._containers.get(node)
        if container is not None:
            if container["status"] == "IN_PROGRESS":
                container["polls"] -= 1
                if container["polls"] < 0:
                    container["status"] = "FINISHED"
            return Answer({"id": node, "status_code": container["status"]})
        for post in self.posts:
            if post["id"] == node:
                return Answer(self._shown(post))
        return _error(100)

    def _shown(self, post: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": post["id"],
            "caption": post["text"],
            "permalink": f"{self.url}/p/{post['id']}/",
            "timestamp": post["timestamp"],
        }


def _error(number: int) -> Answer:
    return Answer({"error": {"message": "refused", "code": number}}, HTTPStatus.BAD_REQUEST)
