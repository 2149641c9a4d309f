"""A connection of the engine's own that is replaced when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from pgqueue.db import Query, connect_async, run_async

if TYPE_CHECKING:
    from pgqueue.settings import Settings

T = TypeVar("T")
PATIENCE = 60.0  # seconds


class Link:
    """One autocommit connection: each query is a transaction of its own, at READ COMMITTED."""

    def __init__(self, url: str, settings: Settings, name: str) -> None:
        """Open nothing."""
        self._url = url
        self._settings = settings
        self._name = f"pgqueue {name}"
        self.conn: psycopg.AsyncConnection[Any] | None = None

    def beside(self, name: str) -> Link:
        """Return another link to the same database, not opened yet."""
        return Link(self._url, self._settings, name)

    async def open(self) -> psycopg.AsyncConnection[Any]:
        """Return the connection, a new one if there is none or it broke."""
        if self.conn is None or self.conn.closed:
            self.conn = await connect_async(self._url, name=self._name, prepare=not self._settings.pooler)
        return self.conn

    async def run(self, query: Query[T]) -> T:
        """Send one query; a server that does not answer within `PATIENCE` counts as gone."""
        conn = await self.open()
        async with asyncio.timeout(PATIENCE):
            return await run_async(conn, query)

    async def renew(self) -> None:
        """Throw the connection away and open another."""
        await self.close()
        await self.open()

    async def close(self) -> None:
        """Close the connection, whatever state it is in."""
        conn, self.conn = self.conn, None
        if conn is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await conn.close()
