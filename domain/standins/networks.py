"""What the stand-ins of networks share: accounts, posts, and every call going through the switches."""

from __future__ import annotations

import html
import json
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

from domain.standins.audience import Audience
from domain.standins.server import GARBAGE, CuttingServer, JsonHandler, QuietServer, StandIn, serving

if TYPE_CHECKING:
    from domain.standins.faults import Fault, Faults


class Answer(NamedTuple):
    """What a call is answered with."""

    content: Any
    status: int = HTTPStatus.OK
    headers: dict[str, str] = {}  # noqa: RUF012 - a tuple's default, never changed


@dataclass(slots=True)
class Call:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str = field(repr=False)


class NetworkStandIn(StandIn):
    """A network's side: what it says it has is what there is."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.RLock()
        self.posts: list[dict[str, Any]] = []
        """As the network keeps them; ``id`` is what its API calls them by, ``text`` what people see."""
        self.calls: list[str] = []
        self.audience = Audience()

    def make_service(self, address: tuple[str, int]) -> CuttingServer:
        """Serve the API."""
        return serving(address, QuietServer, Spoiled, network=self)

    def state(self) -> dict[str, Any]:
        """Return all posts, and the addresses that were called."""
        with self.lock:
            return {"posts": [dict(post) for post in self.posts], "calls": list(self.calls)}

    def called(self, part: str) -> int:
        """Count the calls to addresses with this in them."""
        with self.lock:
            return sum(part in path for path in self.calls)

    def timeline(self) -> bytes:
        """Return a page for people."""
        with self.lock:
            texts = [str(post["text"]) for post in reversed(self.posts)]
        return page("".join(f"<article><p>{html.escape(text)}</p></article>" for text in texts))

    def find(self, post_id: str) -> dict[str, Any] | None:
        """Return a post; None: there is none."""
        with self.lock:
            return next((post for post in self.posts if post["id"] == post_id), None)

    def remove(self, post_id: str) -> None:
        """Delete a post, as its author may at any time."""
        with self.lock:
            self.posts = [post for post in self.posts if post["id"] != post_id]

    def command(self, name: str, content: dict[str, Any]) -> object:
        """Do what the control port was asked."""
        done = self.audience.command(name, content)
        return super().command(name, content) if done is None else done

    def answer(self, call: Call) -> Answer:
        """Do what was asked."""
        raise NotImplementedError

    def refuse(self, kind: str) -> Answer:
        """Refuse in this network's own words: ``unauthorized`` or ``reject``."""
        raise NotImplementedError


def page(articles: str) -> bytes:
    """Return a timeline as a page."""
    style = "body{font:16px sans-serif;max-width:40em;margin:2em auto}article{border-bottom:1px solid #ccc}"
    return f"<!doctype html><meta charset=utf-8><title>Timeline</title><style>{style}</style>{articles}".encode()


class Spoilable(Protocol):
    """What answers calls that switches spoil."""

    faults: Faults
    lock: threading.RLock
    calls: list[str]

    def answer(self, call: Call) -> Answer:
        """Do what was asked."""

    def refuse(self, kind: str) -> Answer:
        """Refuse in this network's own words."""

    def timeline(self) -> bytes:
        """Return a page for people."""


class Spoiled(JsonHandler):
    """Every call takes the fault that is next."""

    network: Spoilable

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        """Serve a call that reads."""
        self.serve("GET")

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        """Serve a call that writes."""
        self.serve("POST")

    def serve(self, method: str) -> None:
        """Serve one call."""
        if method == "GET" and (self.path == "/" or self.path.startswith("/p/")):
            self.send(self.network.timeline(), "text/html; charset=utf-8")
            return
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        fault = self.network.faults.take(path=self.path)
        with self.network.lock:
            self.network.calls.append(f"{method} {url.path}")
        answer = self._refused(fault)
        if answer is None:
            _, _, token = self.headers.get("Authorization", "").partition(" ")
            call = Call(method, url.path, dict(parse_qsl(url.query)), self._content(raw), token)
            with self.network.lock:
                answer = self.network.answer(call)
            if fault is not None and self._spoil(fault):
                return
        self.send(json.dumps(answer.content).encode(), "application/json", answer.status, **answer.headers)

    def _content(self, raw: bytes) -> Any:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("application/json"):
            return json.loads(raw or b"{}")
        return dict(parse_qsl(raw.decode())) if "form-urlencoded" in kind else raw

    def _refused(self, fault: Fault | None) -> Answer | None:
        match fault.kind if fault is not None else None:
            case "rate_limit":
                wait = f"{fault.seconds:g}" if fault is not None else ""
                return Answer({"error": "RateLimitExceeded"}, HTTPStatus.TOO_MANY_REQUESTS, {"Retry_After": wait})
            case "error":
                return Answer({"error": "InternalServerError"}, HTTPStatus.INTERNAL_SERVER_ERROR)
            case "unauthorized" | "reject" as kind:
                return self.network.refuse(kind)
            case _:
                return None

    def _spoil(self, fault: Fault) -> bool:
        """Spoil the answer of a request that is done; tell whether nothing more is to be sent."""
        match fault.kind:
            case "drop":
                self.hang_up()
            case "garbage":
                self.send(GARBAGE, "text/html")
            case "drip":
                self.drip(fault.seconds)
            case "slow":
                time.sleep(fault.seconds)
                return False
            case _:
                return False
        return True
