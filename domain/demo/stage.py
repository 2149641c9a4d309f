"""What a scene acts with: the use cases, the switches of the outside, the operator's commands, and the clock."""

from __future__ import annotations

import asyncio
import shlex
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg

from domain.demo.processes import pgqueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from uuid import UUID

    from domain.composition import Application
    from domain.demo.facts import Facts, Outside
    from domain.demo.processes import Remote
    from domain.demo.screen import Screen
    from domain.demo.seed import Tenant, Tenants
    from domain.standins.faults import Kind

DEADLINE = 60.0
"""Seconds that anything may take; a machine that is busy with other things needs them."""
_LOOK_EVERY = 0.1


class OutOfTime(Exception):
    """Something that had to happen did not."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs."""

    app: Application
    tenants: Tenants
    outside: Outside[Remote]
    facts: Facts
    screen: Screen
    url: str = field(repr=False)

    def say(self, what: str) -> None:
        """Tell the audience what goes wrong now."""
        self.screen.say(what)

    async def until(self, what: str, happened: Callable[[], object]) -> Any:
        """Show the progress until something has happened, and return it. Raises `OutOfTime`."""
        ends = time.monotonic() + DEADLINE
        while not (found := happened()):
            if time.monotonic() > ends:
                raise OutOfTime(f"{what} did not happen in {DEADLINE:.0f} s")
            self.screen.progress(self.facts.posts(), self.facts.jobs())
            await asyncio.sleep(_LOOK_EVERY)
        return found

    async def at_rest(self, *texts: str) -> None:
        """Wait until every post with one of these texts, and all work that follows, has come to its end."""
        for text in texts:
            await self.until(f"the end of {text!r}", partial(self._has_ended, text))
        await self.until("the end of all jobs", lambda: self.facts.busy() == 0)

    def _has_ended(self, text: str) -> bool:
        found = self.facts.published(text)
        return bool(found) and all(row["status"] in ("published", "failed", "unconfirmed", "paused") for row in found)

    async def post(
        self,
        tenant: Tenant,
        author: str,
        text: str,
        handles: Sequence[str],
        *,
        media: Sequence[UUID] = (),
        when: datetime | None = None,
    ) -> None:
        """Schedule a post as a controller would; by default for now."""
        await self.app.publishing.schedule_post(
            tenant.context(author),
            body=text,
            scheduled_at=when or datetime.now(UTC),
            account_ids=[tenant.accounts[handle] for handle in handles],
            media_ids=media,
        )

    async def upload(self, tenant: Tenant, author: str, filename: str, content: bytes) -> UUID:
        """Hand a file in as a controller would."""
        return await self.app.media.register_upload(
            tenant.context(author), filename=filename, declared_type="image/jpeg", chunks=_once(content)
        )

    def spoil(self, part: Remote, kind: Kind, *, path: str = "", calls: int = 1, seconds: float = 1.0) -> None:
        """Spoil the next call to a stand-in."""
        part.tell("faults", kind=kind, path=path, calls=calls, seconds=seconds)

    async def operate(self, *words: str) -> str:
        """Run a command of `pgqueue` as an operator would."""
        self.screen.say(f"$ pgqueue {shlex.join(words)}")
        return await asyncio.to_thread(pgqueue, *words)

    def age(self, statement: LiteralString, *params: object) -> int:
        """Let time pass for some rows by moving their times back: the clock itself stays. Return how many."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            return conn.execute(statement, params).rowcount


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
