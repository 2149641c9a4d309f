"""LISTEN on the one connection that is special. Nothing is believed from a notification; polling is the floor."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any

import psycopg
import structlog
from psycopg import sql

from pgqueue.db import connect_async, run_async
from pgqueue.queries.control import Control
from pgqueue.queries.supervision import CONTROL_PAYLOAD
from pgqueue.wake import outbox_channel, ready_channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.settings import Settings

_PROOF = 2.0  # seconds in which our own notification must come back
_SOON, _AGAIN = 0.5, 15.0  # seconds before another try, doubled each time


class Wakeups:
    """Hears that there are jobs; says whether it can hear at all."""

    def __init__(
        self,
        url: str,
        settings: Settings,
        on_outbox: Callable[[], None],
        on_ready: Callable[[str], None],
        on_orders: Callable[[], None],
    ) -> None:
        """Open nothing."""
        self._url = url
        self._settings = settings
        self._outbox = outbox_channel(settings.schema_name)
        self._ready = ready_channel(settings.schema_name)
        self._on_outbox = on_outbox
        self._on_ready = on_ready
        self._on_orders = on_orders
        self._control = Control(settings.schema_name)
        self.arriving = False
        """Wake-ups were proved to arrive; else the worker polls faster."""

    async def run(self) -> None:
        """Listen until cancelled, over any number of connections."""
        pause = _SOON
        while True:
            try:
                async with contextlib.AsyncExitStack() as stack:
                    conn = await connect_async(self._url, name="pgqueue listen", prepare=False)
                    stack.push_async_callback(conn.close)
                    await self._listen(conn)
            except (psycopg.Error, OSError, Exception) as error:  # noqa: BLE001 - hearing is optional, working is not
                if self.arriving:
                    pause = _SOON
                    structlog.get_logger("pgqueue").warning("wakeups.lost", error=str(error))
                self.arriving = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, _AGAIN)

    async def _listen(self, conn: psycopg.AsyncConnection[Any]) -> None:
        for channel in (self._outbox, self._ready):
            await conn.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        nonce = f"!{secrets.token_hex(8)}"
        await run_async(conn, self._control.wake(self._ready, nonce))
        proved = False
        async for note in conn.notifies(timeout=_PROOF):
            proved = proved or note.payload == nonce
            self._hear(note)
            if proved:
                break
        if not proved:
            structlog.get_logger("pgqueue").warning(
                "wakeups.missing", hint="LISTEN hears nothing (a transaction pooler?): polling instead"
            )
            return
        self.arriving = True
        self._on_outbox()
        self._on_ready("")  # what came before we listened
        while True:
            async for note in conn.notifies(timeout=_AGAIN):
                self._hear(note)
            await conn.execute("SELECT 1")  # a link that was cut is noticed here

    def _hear(self, note: psycopg.Notify) -> None:
        if note.channel == self._outbox:
            self._on_outbox()
        elif note.payload == CONTROL_PAYLOAD:
            self._on_orders()
        elif not note.payload.startswith("!"):
            self._on_ready(note.payload)
