"""A customer's webhook receiver: it checks every signature with the specification's library.

``/hook`` answers 200 unless a switch spoils it; ``/gone`` 410, ``/moved`` 302 to ``/hook``, ``/failing`` 500, ``/busy``
429, ``/drip`` sends its headers a byte at a time, ``/flood`` sends a body without end.
"""

from __future__ import annotations

import threading
import time
from http import HTTPStatus
from itertools import repeat
from typing import Any

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from domain.standins.server import CuttingServer, JsonHandler, QuietServer, StandIn, serving

_LARGEST = 1 << 20


class ReceiverStandIn(StandIn):
    """What a customer got, and with which of the secrets it was signed."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._secrets: list[str] = []
        self._received: list[dict[str, Any]] = []
        self.patience = 0.05
        """Seconds between two bytes of ``/drip``."""

    def make_service(self, address: tuple[str, int]) -> CuttingServer:
        """Serve."""
        return serving(address, QuietServer, _Hook, receiver=self)

    def trust(self, *secrets: str) -> None:
        """Know these secrets, and no others."""
        with self._lock:
            self._secrets = list(secrets)

    def command(self, name: str, content: dict[str, Any]) -> object:
        """Do what the control port was asked."""
        match name:
            case "trust":
                self.trust(*content["secrets"])
                return {}
            case _:
                return super().command(name, content)

    def state(self) -> dict[str, Any]:
        """Return every request, in order."""
        with self._lock:
            return {"received": list(self._received)}

    def keep(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Check a request and remember it."""
        with self._lock:
            good = [place for place, secret in enumerate(self._secrets) if _verifies(secret, headers, body)]
            self._received.append(
                {
                    "path": path,
                    "id": headers.get("webhook-id", ""),
                    "signature": headers.get("webhook-signature", ""),
                    "body": body.decode("utf-8", "replace"),
                    "verified": good,
                }
            )


class _Hook(JsonHandler):
    """The HTTP side."""

    receiver: ReceiverStandIn

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        length = min(int(self.headers.get("Content-Length") or 0), _LARGEST)
        body = self.rfile.read(length)
        self.receiver.keep(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        match self.path:
            case "/gone":
                self.answer({}, HTTPStatus.GONE)
            case "/moved":
                self.answer({}, HTTPStatus.FOUND, Location=f"{self.receiver.url}/hook")
            case "/failing":
                self.answer({"error": "broken"}, HTTPStatus.INTERNAL_SERVER_ERROR)
            case "/busy":
                self.answer({}, HTTPStatus.TOO_MANY_REQUESTS, Retry_After="7")
            case "/drip":
                self._drip()
            case "/flood":
                self._flood()
            case _:
                self._usual()

    def _usual(self) -> None:
        fault = self.receiver.faults.take()
        match fault.kind if fault is not None else None:
            case "drop":
                self.hang_up()
            case "slow" if fault is not None:
                time.sleep(fault.seconds)
                self.answer({"ok": True})
            case "rate_limit" if fault is not None:
                self.answer({}, HTTPStatus.SERVICE_UNAVAILABLE, Retry_After=f"{fault.seconds:g}")
            case "error":
                self.answer({}, HTTPStatus.INTERNAL_SERVER_ERROR)
            case "reject" | "unauthorized":
                self.answer({}, HTTPStatus.BAD_REQUEST)
            case _:
                self.answer({"ok": True})

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        for byte in repeat(b"a", 2_000):
            self.wfile.write(byte)
            time.sleep(self.receiver.patience)

    def _flood(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        for part in repeat(b"a" * 4_096):
            self.wfile.write(part)


def _verifies(secret: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True
