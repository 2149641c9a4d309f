"""A Mastodon server as far as we use one: statuses with idempotency keys, an account's list, a timeline to look at."""

from __future__ import annotations

import html
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from domain.standins.audience import Audience, told
from domain.standins.mastodon_api import MastodonApi
from domain.standins.mastodon_consent import MastodonConsent
from domain.standins.networks import page
from domain.standins.server import CuttingServer, QuietServer, StandIn, serving

if TYPE_CHECKING:
    from domain.standins.faults import Fault

KEY_KEPT = timedelta(hours=1)
_MOST = 40
_MOST_MEDIA = 4


@dataclass(slots=True)
class Account:
    """Somebody with a token."""

    id: str
    acct: str
    token: str = field(repr=False)


@dataclass(slots=True)
class Upload:
    """One file."""

    id: str
    account: Account
    media_type: str
    description: str
    size: int


@dataclass(slots=True)
class Status:
    """One post."""

    id: str
    account: Account
    text: str
    created_at: datetime
    key: str
    media: tuple[str, ...] = ()


class MastodonStandIn(StandIn):
    """The network's side: what it says it has is what there is."""

    def __init__(self, *, max_characters: int = 500) -> None:
        super().__init__()
        self.max_characters = max_characters
        self._lock = threading.Lock()
        self._accounts: dict[str, Account] = {}
        self._statuses: list[Status] = []
        self._keys: dict[tuple[str, str], tuple[Status, datetime]] = {}
        self._replays = 0
        self._revoked: list[str] = []
        self._calls = 0
        self._seen: set[str] = set()
        self._spoiled: list[dict[str, str]] = []
        self._uploads: dict[str, Upload] = {}
        self.open_calls: dict[int, str] = {}
        self.audience = Audience()
        self.doors = MastodonConsent(self)
        self._ids: dict[str, str] = {}
        self._granted: set[str] = set()

    def make_service(self, address: tuple[str, int]) -> CuttingServer:
        """Serve the API."""
        return serving(address, QuietServer, MastodonApi, mastodon=self, network=self.doors)

    def add_account(self, acct: str, token: str) -> Account:
        """Open an account."""
        with self._lock:
            account = Account(str(len(self._accounts) + 1), acct, token)
            self._accounts[token] = account
            self._ids[acct] = account.id
            return account

    def grant(self, acct: str, token: str) -> None:
        """Accept one more token of an account."""
        with self._lock:
            self._accounts[token] = Account(self._ids[acct], acct, token)
            self._granted.add(token)

    def forget_keys(self) -> None:
        """Let the hour pass after which idempotency keys are forgotten."""
        with self._lock:
            self._keys.clear()

    def command(self, name: str, content: dict[str, Any]) -> object:
        """Do what the control port was asked."""
        match name:
            case "accounts":
                account = self.add_account(content["acct"], content["token"])
                return {"id": account.id}
            case "limit":
                self.max_characters = int(content["characters"])
            case "visitor":
                self.doors.consent.visitor = content["acct"]
            case "forget-keys":
                self.forget_keys()
            case _:
                done = self.audience.command(name, content)
                return super().command(name, content) if done is None else done
        return {}

    def state(self) -> dict[str, Any]:
        """Return all statuses and what was asked of us."""
        with self._lock:
            return {
                "statuses": [
                    {"id": s.id, "acct": s.account.acct, "text": s.text, "key": s.key, "media": list(s.media)}
                    for s in self._statuses
                ],
                "uploads": len(self._uploads),
                "calls": self._calls,
                "replays": self._replays,
                "revoked": list(self._revoked),
                "open_calls": sorted(self.open_calls.values()),
                "spoiled": list(self._spoiled),
            }

    def revoke(self, token: str, client_id: str = "", secret: str = "") -> bool:
        """Accept a token no more. As on the real one, a token that nobody knows is no mistake.

        False: it was given to an application, and another one asks.
        """
        with self._lock:
            if token in self._granted and not self.doors.consent.knows(client_id, secret):
                return False
            account = self._accounts.pop(token, None)
            if account is not None:
                self._revoked.append(account.acct)
            return True

    def take_fault(self, key: str) -> Fault | None:
        """Take the fault of a call to publish, and remember which call it spoiled."""
        with self._lock:
            stored = any(kept == key for _, kept in self._keys)
            fault = self.faults.take(seen=key in self._seen, stored=stored)
            self._seen.add(key)
            if fault is not None:
                self._spoiled.append({"kind": fault.kind, "key": key})
            return fault

    def account_of(self, token: str) -> Account | None:
        """Find who holds a token."""
        return self._accounts.get(token)

    def upload(self, account: Account, media_type: str, description: str, size: int) -> Upload:
        """Store a file; statuses name it by its id."""
        with self._lock:
            made = Upload(str(len(self._uploads) + 1), account, media_type, description, size)
            self._uploads[made.id] = made
            return made

    def has_uploads(self, account: Account, ids: tuple[str, ...]) -> bool:
        """Tell whether these are files of this account, as many as a status may have."""
        with self._lock:
            own = [self._uploads[id_] for id_ in ids if id_ in self._uploads]
        return len(ids) <= _MOST_MEDIA and [upload.account.id for upload in own] == [account.id] * len(ids)

    def create(self, account: Account, text: str, key: str, media: tuple[str, ...] = ()) -> Status:
        """Store a status, or return the one that was stored under this key before."""
        with self._lock:
            self._calls += 1
            now = datetime.now(UTC)
            kept = self._keys.get((account.id, key)) if key else None
            if kept is not None and now - kept[1] < KEY_KEPT:
                self._replays += 1
                return kept[0]
            status = Status(str(len(self._statuses) + 1), account, text, now, key, media)
            self._statuses.append(status)
            if key:
                self._keys[account.id, key] = (status, now)
            return status

    def listing(self, account_id: str, *, limit: int, max_id: str | None) -> list[Status]:
        """List an account's statuses, newest first."""
        with self._lock:
            found = [s for s in reversed(self._statuses) if s.account.id == account_id]
        if max_id is not None:
            found = [s for s in found if int(s.id) < int(max_id)]
        return found[: min(limit, _MOST)]

    def shown(self, status: Status) -> dict[str, Any]:
        """Return a status as the API shows it."""
        paragraphs = html.escape(status.text, quote=False).split("\n\n")
        content = "".join(f"<p>{paragraph.replace(chr(10), '<br />')}</p>" for paragraph in paragraphs)
        return {
            "id": status.id,
            "created_at": status.created_at.isoformat(timespec="milliseconds"),
            "content": content,
            "url": f"{self.url}/@{status.account.acct}/{status.id}",
            "visibility": "public",
            "account": {"id": status.account.id, "acct": status.account.acct},
            "media_attachments": [{"id": id_, "type": "image"} for id_ in status.media],
        }

    def read(self, path: list[str]) -> dict[str, Any] | None:
        """Return a status, what people answered to it, or an account."""
        match path:
            case ["accounts", account_id]:
                with self._lock:
                    found = next((a for a in self._accounts.values() if a.id == account_id), None)
                shown = {"avatar": "", "followers_count": 3, "following_count": 0}
                return None if found is None else {"id": found.id, "acct": found.acct} | shown
            case ["statuses", status_id]:
                status = self._status(status_id)
                return None if status is None else self.shown(status) | self._numbers(status_id)
            case ["statuses", status_id, "context"] if self._status(status_id):
                return self._thread(status_id)
        return None

    def remove(self, status_id: str) -> None:
        """Delete a status, as its author may at any time."""
        with self._lock:
            self._statuses = [status for status in self._statuses if status.id != status_id]

    def _numbers(self, status_id: str) -> dict[str, int]:
        found = self.audience.numbers(status_id)
        return told(favourites_count=found["likes"], reblogs_count=found["reposts"], replies_count=found["replies"])

    def _thread(self, status_id: str) -> dict[str, Any]:
        found = [
            {
                "id": each.id,
                "in_reply_to_id": each.parent_id or status_id,
                "account": {"id": each.author_id, "acct": each.author},
                "content": each.text,
                "url": None,
                "created_at": each.created_at.isoformat(),
                "edited_at": None,
            }
            for each in self.audience.answers(status_id)
        ]
        return {"ancestors": [], "descendants": found}

    def _status(self, status_id: str) -> Status | None:
        with self._lock:
            return next((status for status in self._statuses if status.id == status_id), None)

    def timeline(self) -> bytes:
        """Return a page for people."""
        with self._lock:
            statuses = list(reversed(self._statuses))
        rows = "".join(
            f"<article id='{s.id}'><b>@{html.escape(s.account.acct)}</b> <small>{s.created_at:%H:%M:%S}</small>"
            f"<p>{html.escape(s.text)}</p></article>"
            for s in statuses
        )
        return page(rows)
