"""The pages of the stand-in for Stripe: customers, prices, checkouts that somebody pays, and the billing portal."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

Answer = tuple[dict[str, Any], int]
_DAY = 86_400


class Checkouts:
    """What was opened. It is called under the stand-in's lock."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.customers: dict[str, dict[str, str]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}

    def do(self, method: str, parts: list[str], query: dict[str, str]) -> Answer | None:
        """Do what a call asks for; None: it is about something else."""
        match method, parts:
            case "POST", ["customers"]:
                return self._customer(query), HTTPStatus.OK
            case "GET", ["prices"]:
                plan = query.get("lookup_keys[0]", "")
                found = [{"id": f"price_{plan}", "object": "price", "lookup_key": plan}]
                known = found if plan in {"pro", "business"} else []
                return {"object": "list", "data": known, "has_more": False, "url": "/v1/prices"}, HTTPStatus.OK
            case "POST", ["checkout", "sessions"] if query.get("customer") in self.customers:
                return self._open(query), HTTPStatus.OK
            case "POST", ["billing_portal", "sessions"] if query.get("customer") in self.customers:
                page = {"id": "bps_1", "object": "billing_portal.session", "url": f"{self._url}/p/{query['customer']}"}
                return page, HTTPStatus.OK
        return None

    def paid(self, session_id: str) -> dict[str, Any]:
        """Complete a checkout."""
        session = self.sessions[session_id]
        session |= {"status": "complete", "payment_status": "paid", "subscription": f"sub_of_{session_id}"}
        return session

    def _customer(self, query: dict[str, str]) -> dict[str, Any]:
        customer = {"id": f"cus_{len(self.customers) + 1}", "name": query["name"]}
        self.customers[customer["id"]] = customer
        return {"object": "customer", **customer}

    def _open(self, query: dict[str, str]) -> dict[str, Any]:
        session_id = f"cs_test_{len(self.sessions) + 1}"
        session = {
            "id": session_id,
            "object": "checkout.session",
            "url": f"{self._url}/c/{session_id}",
            "customer": query["customer"],
            "client_reference_id": query["client_reference_id"],
            "price": query["line_items[0][price]"],
            "success_url": query["success_url"],
            "cancel_url": query["cancel_url"],
            "status": "open",
            "expires_at": int(time.time()) + _DAY,
        }
        self.sessions[session_id] = session
        return session
