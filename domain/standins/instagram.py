"""The Graph API of Instagram as far as we use it: containers, publishing without any key, tokens that are renewed."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from domain.standins.audience import told
from domain.standins.consent import Consent
from domain.standins.networks import Answer, Call, NetworkStandIn

if TYPE_CHECKING:
    from domain.standins.audience import Answer as Written

_SIXTY_DAYS = 60 * 86_400
_BAD_TOKEN = 190
_NO_OBJECT = 33
_MOST_COMMENTS = 50


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
            case "GET", [node]:
                return self._person(account) if node in {"me", account} else self._node(node)
            case "GET", [node, edge]:
                return self._edge(account, node, edge, call.query)
        return _error(100)

    def _person(self, account: str) -> Answer:
        name = next(each for each, id_ in self._names.items() if id_ == account)
        shown = {"id": "1", "user_id": account, "username": name, "name": name.title()}
        counts = {"followers_count": 3, "follows_count": 0, "media_count": len(self.posts)}
        return Answer(shown | counts)

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
        moment = _time(datetime.now(UTC))
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
        post = self.find(node)
        return _error(100, _NO_OBJECT) if post is None else Answer(self._shown(post))

    def _edge(self, account: str, node: str, edge: str, query: dict[str, str]) -> Answer:
        if (node, edge) == (account, "media"):
            return Answer({"data": [self._shown(post) for post in reversed(self.posts)]})
        if self.find(node) is None or edge not in {"comments", "insights"}:
            return _error(100, _NO_OBJECT)
        if edge == "comments":
            return Answer(self._comments(account, node, query))
        numbers = self.audience.numbers(node)
        # a number that is not known is no entry
        shown = told(views=numbers["views"], shares=numbers["reposts"])
        data = [{"name": name, "period": "lifetime", "values": [{"value": n}]} for name, n in shown.items()]
        return Answer({"data": [each for each in data if each["name"] in query["metric"].split(",")]})

    def _comments(self, account: str, node: str, query: dict[str, str]) -> dict[str, Any]:
        answers = self.audience.answers(node)
        begin, limit = int(query.get("after", "0")), min(int(query.get("limit", "25")), _MOST_COMMENTS)
        top = [_comment(each, account) for each in answers if each.parent_id is None]
        for comment in top:
            replies = [_comment(each, account) for each in answers if each.parent_id == comment["id"]]
            comment.update({"replies": _page(replies, 0, _MOST_COMMENTS)} if replies else {})
        return _page(top, begin, limit)

    def _shown(self, post: dict[str, Any]) -> dict[str, Any]:
        numbers = self.audience.numbers(post["id"])
        return {
            "id": post["id"],
            "caption": post["text"],
            "permalink": f"{self.url}/p/{post['id']}/",
            "timestamp": post["timestamp"],
        } | told(like_count=numbers["likes"], comments_count=numbers["replies"])


def _comment(given: Written, account: str) -> dict[str, Any]:
    shown = {"id": given.id, "text": given.text, "timestamp": _time(given.created_at), "username": given.author}
    own = {"user": {"id": account}} if given.author_id == account else {}
    return shown | {"from": {"id": f"scoped-{given.author_id}", "username": given.author}} | own


def _page(found: list[dict[str, Any]], begin: int, limit: int) -> dict[str, Any]:
    end = begin + limit
    paging = {"cursors": {"before": str(begin), "after": str(end)}}
    more = {"next": "https://graph.example/next"} if len(found) > end else {}
    return {"data": found[begin:end], "paging": paging | more}


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S+0000")


def _error(number: int, subcode: int = 0) -> Answer:
    error = {"message": "refused", "code": number, "error_subcode": subcode}
    return Answer({"error": error}, HTTPStatus.BAD_REQUEST)
