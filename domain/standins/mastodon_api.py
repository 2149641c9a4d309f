"""The HTTP side of the stand-in for Mastodon."""

from __future__ import annotations

import email
import email.policy
import threading
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from domain.standins.mastodon_consent import PATHS
from domain.standins.networks import Spoiled
from domain.standins.server import GARBAGE

if TYPE_CHECKING:
    from domain.standins.faults import Fault
    from domain.standins.mastodon import Account, MastodonStandIn, Status

_LARGEST = 16 << 20


class MastodonApi(Spoiled):
    """What is asked of the stand-in, and in which words it answers."""

    mastodon: MastodonStandIn

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        """Show something."""
        url = urlsplit(self.path)
        if url.path in PATHS:
            self.serve("GET")
            return
        parts = url.path.strip("/").split("/")
        if parts[:2] != ["api", "v1"]:
            self.send(self.mastodon.timeline(), "text/html; charset=utf-8")
            return
        fault = self.mastodon.faults.take()
        account = self._admit(fault)
        if account is None:
            return
        if parts[2:] == ["accounts", "verify_credentials"]:
            self.answer({"id": account.id, "acct": account.acct, "username": account.acct})
        elif len(parts) == 5 and parts[2] == "accounts" and parts[4] == "statuses":  # noqa: PLR2004 - the parts of /api/v1/accounts/:id/statuses
            query = parse_qs(url.query)
            limit, max_id = int(query.get("limit", ["20"])[0]), query.get("max_id", [None])[0]
            found = self.mastodon.listing(parts[3], limit=limit, max_id=max_id)
            self.answer([self.mastodon.shown(status) for status in found])
        elif (read := self.mastodon.read(parts[2:])) is not None:
            self.answer(read)
        else:
            self.answer({"error": "Record not found"}, HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        """Take a file or a status, or a token back."""
        if self.path in PATHS:
            self.serve("POST")
        elif self.path == "/api/v2/media":
            self._upload()
        elif self.path == "/oauth/revoke":
            self._revoke(self.body())
        else:
            self._status(self.body())

    def _status(self, content: dict[str, Any]) -> None:
        key = self.headers.get("Idempotency-Key", "")
        fault = self.mastodon.take_fault(key)
        account = self._admit(fault)
        if account is None:
            return
        if self.path != "/api/v1/statuses":
            self.answer({"error": "Record not found"}, HTTPStatus.NOT_FOUND)
            return
        text = str(content.get("status") or "").strip()
        if not text or len(text) > self.mastodon.max_characters:
            error = "Validation failed: Text can't be blank" if not text else "Validation failed: Text is too long"
            self.answer({"error": error}, HTTPStatus.UNPROCESSABLE_ENTITY)
            return
        media = tuple(str(each) for each in content.get("media_ids") or ())
        if not self.mastodon.has_uploads(account, media):
            self.answer({"error": "Validation failed: Media not found"}, HTTPStatus.UNPROCESSABLE_ENTITY)
            return
        status = self.mastodon.create(account, text, key, media)
        self._reply(status, fault)

    def _upload(self) -> None:
        """Take a file; the switches are for statuses."""
        length = min(int(self.headers.get("Content-Length") or 0), _LARGEST)
        raw = self.rfile.read(length)
        account = self._admit(None)
        if account is None:
            return
        head = f"Content-Type: {self.headers.get('Content-Type', '')}\r\n\r\n".encode()
        parts = {
            part.get_param("name", header="content-disposition"): part
            for part in email.message_from_bytes(head + raw, policy=email.policy.HTTP).iter_parts()
        }
        if "file" not in parts:
            self.answer({"error": "Validation failed: File can't be blank"}, HTTPStatus.UNPROCESSABLE_ENTITY)
            return
        file, described = parts["file"], parts.get("description")
        description = described.get_content() if described is not None else ""
        size = len(file.get_payload(decode=True) or b"")
        made = self.mastodon.upload(account, file.get_content_type(), str(description).strip(), size)
        self.answer({"id": made.id, "type": "image", "url": f"{self.mastodon.url}/media/{made.id}"})

    def _revoke(self, content: dict[str, str]) -> None:
        fault = self.mastodon.faults.take()
        if fault is not None and fault.kind == "error":
            self.answer({"error": "Something went wrong"}, HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        if self.mastodon.revoke(
            content.get("token", ""), content.get("client_id", ""), content.get("client_secret", "")
        ):
            self.answer({})
        else:
            self.answer({"error": "unauthorized_client"}, HTTPStatus.FORBIDDEN)

    def _reply(self, status: Status, fault: Fault | None) -> None:
        """Answer with the status, unless a switch spoils that."""
        match fault.kind if fault is not None else None:
            case "drop":
                self.hang_up()
                return
            case "garbage":
                self.send(GARBAGE, "text/html")
                return
            case "drip" if fault is not None:
                self.drip(fault.seconds)
                return
            case "slow" if fault is not None:
                me = threading.get_ident()
                self.mastodon.open_calls[me] = status.key
                time.sleep(fault.seconds)
                self.mastodon.open_calls.pop(me)
        self.answer(self.mastodon.shown(status))

    def _admit(self, fault: Fault | None) -> Account | None:
        """Check the token and the switches; answer and return None if the call ends here."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        account = self.mastodon.account_of(token) if scheme == "Bearer" else None
        kind = fault.kind if fault is not None else None
        if account is None or kind == "unauthorized":
            self.answer({"error": "The access token is invalid"}, HTTPStatus.UNAUTHORIZED)
            return None
        if fault is not None and kind == "rate_limit":
            reset = (datetime.now(UTC) + timedelta(seconds=fault.seconds)).isoformat()
            wait = {"Retry_After": f"{fault.seconds:g}", "X_RateLimit_Remaining": "0", "X_RateLimit_Reset": reset}
            self.answer({"error": "Too many requests"}, HTTPStatus.TOO_MANY_REQUESTS, **wait)
            return None
        if kind == "error":
            self.answer({"error": "Something went wrong"}, HTTPStatus.INTERNAL_SERVER_ERROR)
            return None
        if kind == "reject":
            self.answer({"error": "Validation failed: Text is not welcome"}, HTTPStatus.UNPROCESSABLE_ENTITY)
            return None
        return account
