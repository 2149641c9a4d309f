"""Messages between a worker and a child process: a length, then JSON. What a job prints goes elsewhere."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pgqueue.failure import Failure
from pgqueue.outcome import Settlement

if TYPE_CHECKING:
    import socket

_HEAD = 4  # bytes that say how long a message is
_MOST = 64 * 1024 * 1024  # bytes; the largest arguments are 8 MiB


class Channel:
    """One end of a socket pair. Whatever cannot be read is the end of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See `over`."""
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Self:
        """Take a connected socket over."""
        return cls(*await asyncio.open_connection(sock=sock))

    def send(self, message: dict[str, Any]) -> None:
        """Send without waiting; a peer that is gone is noticed by reading."""
        text = json.dumps(message).encode()
        self._writer.write(len(text).to_bytes(_HEAD, "big") + text)

    async def flush(self) -> None:
        """Wait until what was sent is on its way."""
        await self._writer.drain()

    async def read(self) -> dict[str, Any] | None:
        """Return the next message; None: the other end is gone, or sends nonsense."""
        try:
            length = int.from_bytes(await self._reader.readexactly(_HEAD), "big")
            if length > _MOST:
                return None
            message = json.loads(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError, ValueError):
            return None
        return message if isinstance(message, dict) else None

    def close(self) -> None:
        """Close this end, which tells the other."""
        self._writer.close()


class Answer(NamedTuple):
    """What a child says of a run."""

    settlement: Settlement | None
    """What became of the job."""
    pending: bool
    """The parent has to settle it; else the job's own transaction did, or its lease was lost."""
    lost: bool
    seconds: float
    follower: tuple[str, str] | None
    """Kind and arguments of the job that follows."""
    last: bool
    """The child ends: it has run enough jobs or holds too much memory."""

    def pack(self) -> dict[str, Any]:
        """Write it as a message."""
        return {"answer": self._asdict() | {"settlement": _packed(self.settlement)}}

    @classmethod
    def unpack(cls, fields: dict[str, Any]) -> Self:
        """Read a message."""
        follower = fields["follower"]
        values = fields | {
            "settlement": _unpacked(fields["settlement"]),
            "follower": None if follower is None else (str(follower[0]), str(follower[1])),
        }
        return cls(**values)


def _packed(settlement: Settlement | None) -> list[Any] | None:
    if settlement is None:
        return None
    failure = settlement.failure
    told = None if failure is None else [failure.type, failure.error, failure.trace]
    return [*settlement._replace(failure=None), told]


def _unpacked(values: list[Any] | None) -> Settlement | None:
    if values is None:
        return None
    *fields, told = values
    settlement = Settlement(*fields)
    return settlement if told is None else settlement._replace(failure=Failure(*told))
