"""The people on the stand-ins of networks: they see, like, repost and answer what is published, and take it back.

What they did is kept in words of its own; each network shows it in its own.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(slots=True)
class Answer:
    """An answer, as its author wrote it: on Mastodon any HTML, elsewhere any text."""

    id: str
    post_id: str
    parent_id: str | None
    """The answer that this one answers; None: the post itself."""
    author_id: str
    author: str
    text: str
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Audience:
    """What they did, by the id of the post."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: list[Answer] = []
        self._counts: dict[str, dict[str, int | None]] = {}
        self._made = 0

    def answer(
        self, post_id: str, author: str, text: str, *, author_id: str = "900", parent_id: str | None = None
    ) -> str:
        """Answer a post, or an answer to it; return the answer's id."""
        with self._lock:
            self._made += 1
            found = Answer(f"a{self._made}", post_id, parent_id, author_id, author, text)
            self._answers.append(found)
            return found.id

    def take_back(self, answer_id: str) -> None:
        """Delete an answer."""
        with self._lock:
            self._answers = [each for each in self._answers if each.id != answer_id]

    def count(self, post_id: str, **counts: int | None) -> None:
        """Set ``likes``, ``reposts``, ``replies`` or ``views`` of a post; None: the network leaves the number out."""
        with self._lock:
            self._counts[post_id] = counts

    def numbers(self, post_id: str) -> dict[str, int | None]:
        """Return the four numbers of a post; replies are those that were written unless `count` says otherwise."""
        shown: dict[str, int | None] = {"likes": 0, "reposts": 0, "replies": len(self.answers(post_id)), "views": 0}
        with self._lock:
            return shown | self._counts.get(post_id, {})

    def answers(self, post_id: str) -> list[Answer]:
        """Return the answers to a post and to its answers, oldest first."""
        with self._lock:
            return [each for each in self._answers if each.post_id == post_id]

    def command(self, name: str, content: dict[str, Any]) -> dict[str, str] | None:
        """Do what a control port was asked; None: it is not for us."""
        match name:
            case "answers":
                return {"id": self.answer(content["post_id"], content["author"], content["text"])}
            case "counts":
                self.count(content.pop("post_id"), **content)
                return {}
        return None


def told(**numbers: int | None) -> dict[str, int]:
    """Leave out what is None, as networks do."""
    return {name: number for name, number in numbers.items() if number is not None}
