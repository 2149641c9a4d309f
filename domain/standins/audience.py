"""The people on the stand-in for Mastodon: they like, repost and answer, and take it back."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Counts = dict[str, int | None]


@dataclass(slots=True)
class Answer:
    """An answer to a status, as its author wrote it: any HTML."""

    id: str
    status_id: str
    author_id: str
    author: str
    html: str
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Audience:
    """What they did, and how the API shows it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: list[Answer] = []
        self._counts: dict[str, Counts] = {}
        self._made = 0

    def answer(self, status_id: str, author: str, html: str, *, author_id: str = "900") -> str:
        """Answer a status; return the answer's id."""
        with self._lock:
            self._made += 1
            found = Answer(f"a{self._made}", status_id, author_id, author, html)
            self._answers.append(found)
            return found.id

    def take_back(self, answer_id: str) -> None:
        """Delete an answer."""
        with self._lock:
            self._answers = [each for each in self._answers if each.id != answer_id]

    def count(self, status_id: str, **counts: int | None) -> None:
        """Set what a status counts; None: the field is left out of the answer."""
        with self._lock:
            self._counts[status_id] = counts

    def numbers(self, status_id: str) -> dict[str, Any]:
        """Return the numbers of a status or an account as the API shows them."""
        with self._lock:
            answers = sum(each.status_id == status_id for each in self._answers)
            shown: Counts = {"favourites_count": 0, "reblogs_count": 0, "replies_count": answers}
            shown |= self._counts.get(status_id, {})
        return {name: count for name, count in shown.items() if count is not None}

    def thread(self, status_id: str) -> dict[str, Any]:
        """Return the answers to a status as the API shows them."""
        with self._lock:
            found = [each for each in self._answers if each.status_id == status_id]
        return {
            "ancestors": [],
            "descendants": [
                {
                    "id": each.id,
                    "in_reply_to_id": each.status_id,
                    "account": {"id": each.author_id, "acct": each.author},
                    "content": each.html,
                    "url": None,
                    "created_at": each.created_at.isoformat(),
                    "edited_at": None,
                }
                for each in found
            ],
        }
