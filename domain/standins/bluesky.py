"""A Bluesky server (PDS) as far as we use one: sessions whose tokens rotate and end, records under chosen keys."""

from __future__ import annotations

import hashlib
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from domain.standins.audience import told
from domain.standins.networks import Answer, Call, NetworkStandIn

if TYPE_CHECKING:
    from domain.standins.audience import Answer as Written

_TID = re.compile(r"[234567a-j][2-7a-z]{12}")
_MOST_LENGTH = 300


class BlueskyStandIn(NetworkStandIn):
    """Repositories of records."""

    def __init__(self) -> None:
        super().__init__()
        self._passwords: dict[str, str] = {}
        self._access: dict[str, str] = {}
        self._refresh: dict[str, str] = {}
        self._next: dict[str, tuple[str, str]] = {}
        self._issued = 0
        self.puts = 0

    def add_account(self, name: str, password: str) -> str:
        """Open an account and return its DID."""
        with self.lock:
            self._passwords[name] = password
            return _did(name)

    def expire_access(self) -> None:
        """Let all access tokens end; refresh tokens stay good."""
        with self.lock:
            self._access.clear()

    def revoke(self) -> None:
        """Take every grant back."""
        with self.lock:
            self._access.clear()
            self._refresh.clear()

    def command(self, name: str, content: dict[str, Any]) -> object:
        """Do what the control port was asked."""
        match name:
            case "accounts":
                return {"id": self.add_account(content["acct"], content["password"])}
            case "expire":
                self.expire_access()
            case "revoke":
                self.revoke()
            case _:
                return super().command(name, content)
        return {}

    def refuse(self, kind: str) -> Answer:
        """Refuse as the protocol does: everything is a 400 with a name."""
        return _error("ExpiredToken" if kind == "unauthorized" else "InvalidRequest")

    def answer(self, call: Call) -> Answer:
        """Serve one method."""
        method = call.path.removeprefix("/xrpc/").removeprefix("com.atproto.")
        if method == "server.createSession":
            return self._sign_in(call.body)
        if method == "server.refreshSession":
            return self._rotate(call.token)
        did = self._access.get(call.token)
        return _error("ExpiredToken") if did is None else self._repository(did, method, call)

    def _repository(self, did: str, method: str, call: Call) -> Answer:
        match method:
            case "repo.putRecord":
                return self._put(did, call.body)
            case "repo.getRecord":
                return self._get(call.query)
            case "repo.uploadBlob":
                link = hashlib.sha256(call.body).hexdigest()
                return Answer({"blob": {"$type": "blob", "ref": {"$link": link}, "size": len(call.body)}})
        return self._application(method, call.query)

    def _application(self, method: str, query: dict[str, str]) -> Answer:
        """Serve what a server passes on to the application that knows all servers."""
        match method:
            case "app.bsky.feed.getPosts":
                post = self.find(query["uris"])
                return Answer({"posts": [] if post is None else [self._view(post)]})
            case "app.bsky.feed.getPostThread":
                return self._thread(query)
            case "app.bsky.actor.getProfile":
                return self._profile(query["actor"])
        return _error("MethodNotImplemented", HTTPStatus.NOT_IMPLEMENTED)

    def _sign_in(self, body: dict[str, str]) -> Answer:
        name = body["identifier"]
        if self._passwords.get(name) != body["password"]:
            return _error("AuthenticationRequired", HTTPStatus.UNAUTHORIZED)
        return self._session(_did(name), *self._issue(_did(name)))

    def _rotate(self, token: str) -> Answer:
        did = self._refresh.get(token)
        if did is None:
            return _error("ExpiredToken")
        # a token that was used before leads to the same next one
        if token not in self._next:
            self._next[token] = self._issue(did)
        return self._session(did, *self._next[token])

    def _issue(self, did: str) -> tuple[str, str]:
        self._issued += 1
        access, refresh = f"access-{self._issued}", f"refresh-{self._issued}"
        self._access[access], self._refresh[refresh] = did, did
        return access, refresh

    def _session(self, did: str, access: str, refresh: str) -> Answer:
        name = next((each for each in self._passwords if _did(each) == did), did)
        return Answer({"did": did, "handle": name, "accessJwt": access, "refreshJwt": refresh})

    def _put(self, did: str, body: dict[str, Any]) -> Answer:
        record, rkey = body["record"], body["rkey"]
        if body["repo"] != did or not _TID.fullmatch(rkey) or len(record["text"].encode()) > _MOST_LENGTH * 10:
            return _error("InvalidRequest")
        self.puts += 1
        uri = f"at://{did}/{body['collection']}/{rkey}"
        kept = self.find(uri)
        text = json.dumps(record, sort_keys=True)
        if kept is None:
            self.posts.append({"id": uri, "text": record["text"], "record": record, "written": 1})
        elif json.dumps(kept["record"], sort_keys=True) != text:
            kept |= {"text": record["text"], "record": record, "written": kept["written"] + 1}
        return Answer({"uri": uri, "cid": hashlib.sha256(text.encode()).hexdigest()})

    def _get(self, query: dict[str, str]) -> Answer:
        uri = f"at://{query['repo']}/{query['collection']}/{query['rkey']}"
        post = self.find(uri)
        return _error("RecordNotFound") if post is None else Answer({"uri": uri, "value": post["record"]})

    def _profile(self, did: str) -> Answer:
        name = next((each for each in self._passwords if _did(each) == did), None)
        if name is None:
            return _error("InvalidRequest")
        posts = sum(post["id"].startswith(f"at://{did}/") for post in self.posts)
        told = {"followersCount": 3, "followsCount": 0, "postsCount": posts}
        return Answer({"did": did, "handle": name, "avatar": f"{self.url}/avatar/{name}.jpg"} | told)

    def _view(self, post: dict[str, Any]) -> dict[str, Any]:
        """Return a post as the application shows it: with what people did."""
        numbers = self.audience.numbers(post["id"])
        shown = told(likeCount=numbers["likes"], repostCount=numbers["reposts"], replyCount=numbers["replies"])
        did = post["id"].split("/")[2]
        author = {"did": did, "handle": next(each for each in self._passwords if _did(each) == did)}
        record, seen = post["record"], post["record"]["createdAt"]
        return {"uri": post["id"], "cid": "c", "author": author, "record": record, "indexedAt": seen} | shown

    def _thread(self, query: dict[str, str]) -> Answer:
        post = self.find(query["uri"])
        if post is None:
            return _error("NotFound")
        answers = self.audience.answers(post["id"])
        thread = {"post": self._view(post)} | _below(answers, None, int(query.get("depth", "6")))
        return Answer({"thread": thread})


def _below(answers: list[Written], parent_id: str | None, depth: int) -> dict[str, Any]:
    """Return the answers to a post or an answer; at the end of the depth they are left out."""
    if depth == 0:
        return {}
    found = [each for each in answers if each.parent_id == parent_id]
    return {"replies": [{"post": _answer(each, answers)} | _below(answers, each.id, depth - 1) for each in found]}


def _answer(given: Written, answers: list[Written]) -> dict[str, Any]:
    did = given.author_id if given.author_id.startswith("did:") else f"did:plc:{given.author_id}"
    return {
        "uri": f"at://{did}/app.bsky.feed.post/{given.id}",
        "cid": "c",
        "author": {"did": did, "handle": given.author},
        "record": {"$type": "app.bsky.feed.post", "text": given.text, "createdAt": "0001-01-01T00:00:00Z"},
        "indexedAt": given.created_at.isoformat(),
        "replyCount": sum(each.parent_id == given.id for each in answers),
    }


def _did(name: str) -> str:
    return f"did:plc:{hashlib.sha256(name.encode()).hexdigest()[:24]}"


def _error(name: str, status: int = HTTPStatus.BAD_REQUEST) -> Answer:
    return Answer({"error": name, "message": name}, status)
