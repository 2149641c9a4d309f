"""Stripe as far as we use it: subscriptions, events, meter events with the formula ``last``, and signed webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from domain.standins.checkout import Checkouts
from domain.standins.server import CuttingServer, JsonHandler, QuietServer, StandIn, serving

if TYPE_CHECKING:
    from domain.standins.faults import Fault

API_VERSION = "2026-10-28.endive"
_LARGEST = 1 << 20
_MONTH = 30 * 86_400
_OLDEST = 35 * 86_400
_AHEAD = 300

Answer = tuple[dict[str, Any], int]


class StripeStandIn(StandIn):
    """Stripe's side: what it says of a customer is what holds."""

    api_key = "sk_test_stand_in"
    webhook_secret = "whsec_stand_in"  # noqa: S105 - made up, for loopback

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._subscriptions: dict[str, dict[str, Any]] = {}
        self._events: list[dict[str, Any]] = []
        self._usage: list[dict[str, Any]] = []
        self._answers: dict[str, Answer] = {}
        self._calls: list[str] = []
        self._checkouts = Checkouts("https://checkout.stripe.example")

    def make_service(self, address: tuple[str, int]) -> CuttingServer:
        """Serve the API."""
        return serving(address, QuietServer, _Api, stripe=self)

    def command(self, name: str, content: dict[str, Any]) -> object:
        """Do what the control port was asked."""
        match name:
            case "subscriptions":
                body, signature = self.set_subscription(**content)
                return {"body": body.decode(), "signature": signature}
            case "pay":
                return [{"body": body.decode(), "signature": signature} for body, signature in self.pay(**content)]
            case _:
                return super().command(name, content)

    def state(self) -> dict[str, Any]:
        """Return what there is and what was asked of us."""
        with self._lock:
            statuses = {each["id"]: each["status"] for each in self._subscriptions.values()}
            sessions = list(self._checkouts.sessions.values())
            return {
                "checkouts": sessions,
                "subscriptions": statuses,
                "usage": list(self._usage),
                "calls": list(self._calls),
            }

    def total(self, event_name: str, customer: str) -> int | None:
        """Return what the meter says: the value with the latest time, as the formula ``last`` has it."""
        with self._lock:
            found = [u for u in self._usage if (u["event_name"], u["customer"]) == (event_name, customer)]
        return max(found, key=lambda each: each["timestamp"])["value"] if found else None

    def set_subscription(
        self, subscription: str, customer: str, status: str, *, plan: str = "pro", tell: bool = True
    ) -> tuple[bytes, str]:
        """Change a subscription; return the signed webhook that tells of it (``tell=False``: Stripe lists no event)."""
        with self._lock:
            known = self._subscriptions.get(subscription)
            now = int(time.time())
            found = known or {"id": subscription, "object": "subscription", "created": now, "customer": customer}
            ended = now if status in ("canceled", "incomplete_expired") else None
            item = {
                "id": f"si_{subscription}",
                "object": "subscription_item",
                "current_period_start": now,
                "current_period_end": now + _MONTH,
                "price": {"id": f"price_{plan}", "object": "price", "lookup_key": plan},
            }
            items = {"object": "list", "data": [item], "has_more": False, "url": "/v1/subscription_items"}
            found |= {"status": status, "items": items, "cancel_at": None, "ended_at": ended}
            self._subscriptions[subscription] = found
            event = self._event("customer.subscription.updated" if known else "customer.subscription.created", found)
            if tell:
                self._events.append(event)
        return self.signed(event)

    def pay(self, session: str) -> list[tuple[bytes, str]]:
        """Pay on a checkout's page; return the signed webhooks that tell of it, in the order in which they come."""
        with self._lock:
            done = dict(self._checkouts.paid(session))
        plan = done["price"].removeprefix("price_")
        made = self.set_subscription(done["subscription"], done["customer"], "active", plan=plan)
        return [self.event("checkout.session.completed", done), made]

    def event(self, kind: str, content: dict[str, Any]) -> tuple[bytes, str]:
        """Make any event; return its signed webhook."""
        with self._lock:
            event = self._event(kind, content)
            self._events.append(event)
        return self.signed(event)

    def signed(self, event: dict[str, Any], *, at: float | None = None) -> tuple[bytes, str]:
        """Return an event as it is posted, and its signature."""
        body = json.dumps(event, indent=2).encode()
        moment = int(time.time() if at is None else at)
        mac = hmac.new(self.webhook_secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
        return body, f"t={moment},v1={mac.hexdigest()}"

    def take(self, method: str, path: str, query: dict[str, str], key: str) -> tuple[Answer, Fault | None]:
        """Do what a call asks for, unless a switch refuses it."""
        with self._lock:
            self._calls.append(f"{method} {path}")
            fault = self.faults.take()
            refused = _refusal(fault)
            if refused is not None:
                return refused, fault
            if key in self._answers:
                return self._answers[key], fault
            parts = path.removeprefix("/v1/").split("/")
            answer = self._checkouts.do(method, parts, query) or self._do(method, parts, query)
            if key:
                self._answers[key] = answer
            return answer, fault

    def _do(self, method: str, parts: list[str], query: dict[str, str]) -> Answer:
        match method, parts:
            case "GET", ["subscriptions"]:
                found = [s for s in self._subscriptions.values() if s["customer"] == query["customer"]]
                return _page(list(reversed(found)), query)
            case "GET", ["subscriptions", name] if name in self._subscriptions:
                return self._subscriptions[name], HTTPStatus.OK
            case "DELETE", ["subscriptions", name] if name in self._subscriptions:
                return self._cancel(self._subscriptions[name])
            case "GET", ["events"]:
                since = int(query.get("created[gte]", "0"))
                return _page([e for e in reversed(self._events) if e["created"] >= since], query)
            case "POST", ["billing", "meter_events"]:
                return self._meter(query)
            case _:
                return _error("resource_missing", "No such thing"), HTTPStatus.NOT_FOUND

    def _cancel(self, found: dict[str, Any]) -> Answer:
        if found["status"] == "canceled":
            return _error("resource_missing", "No such subscription"), HTTPStatus.NOT_FOUND
        found |= {"status": "canceled", "ended_at": int(time.time())}
        self._events.append(self._event("customer.subscription.deleted", found))
        return found, HTTPStatus.OK

    def _meter(self, query: dict[str, str]) -> Answer:
        moment, now = int(query["timestamp"]), time.time()
        if not now - _OLDEST <= moment <= now + _AHEAD:
            return _error("timestamp_invalid", "The timestamp is out of range"), HTTPStatus.BAD_REQUEST
        if any(each["identifier"] == query["identifier"] for each in self._usage):
            return _error("duplicate_meter_event", "An event with this identifier exists"), HTTPStatus.BAD_REQUEST
        used = {
            "event_name": query["event_name"],
            "customer": query["payload[stripe_customer_id]"],
            "value": int(query["payload[value]"]),
            "identifier": query["identifier"],
            "timestamp": moment,
        }
        self._usage.append(used)
        return {"object": "billing.meter_event", "livemode": False, "created": int(now), **query}, HTTPStatus.OK

    def _event(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": f"evt_{len(self._events) + 1}_{time.monotonic_ns()}",
            "object": "event",
            "api_version": API_VERSION,
            "created": int(time.time()),
            "livemode": False,
            "type": kind,
            "data": {"object": json.loads(json.dumps(content))},
        }


class _Api(JsonHandler):
    """The HTTP side."""

    stripe: StripeStandIn

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        self._serve("GET")

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        self._serve("POST")

    def do_DELETE(self) -> None:  # noqa: N802 - http.server's name
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        url = urlsplit(self.path)
        length = min(int(self.headers.get("Content-Length") or 0), _LARGEST)
        given = parse_qs(url.query) | parse_qs(self.rfile.read(length).decode())
        query = {name: values[0] for name, values in given.items()}
        if self.headers.get("Authorization") != f"Bearer {self.stripe.api_key}":
            self.answer(_error("api_key", "Invalid API Key provided"), HTTPStatus.UNAUTHORIZED)
            return
        (content, status), fault = self.stripe.take(method, url.path, query, self.headers.get("Idempotency-Key", ""))
        if fault is not None and fault.kind == "drop":
            self.hang_up()
            return
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.seconds)
        more = {"Retry_After": f"{fault.seconds:g}"} if fault is not None and fault.kind == "rate_limit" else {}
        self.answer(content, status, **more)


def _page(found: list[dict[str, Any]], query: dict[str, str]) -> Answer:
    limit, after = int(query.get("limit", "10")), query.get("starting_after")
    if after is not None:
        found = found[[each["id"] for each in found].index(after) + 1 :]
    page = found[:limit]
    return {"object": "list", "data": page, "has_more": len(found) > limit, "url": "/v1/list"}, HTTPStatus.OK


def _refusal(fault: Fault | None) -> Answer | None:
    match fault.kind if fault is not None else None:
        case "rate_limit":
            return _error("rate_limit", "Too many requests"), HTTPStatus.TOO_MANY_REQUESTS
        case "unauthorized":
            return _error("api_key", "Invalid API Key provided"), HTTPStatus.UNAUTHORIZED
        case "error":
            return _error("api_error", "Something went wrong"), HTTPStatus.INTERNAL_SERVER_ERROR
        case "reject":
            return _error("parameter_invalid", "Invalid parameter"), HTTPStatus.BAD_REQUEST
    return None


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"type": "invalid_request_error", "code": code, "message": message}}
