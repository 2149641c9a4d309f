"""The virus scanner: clamd's INSTREAM, over a Unix socket or TCP. No answer is never a clean one."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from domain.gateways.failures import Rejected, Transient

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator
    from datetime import timedelta

    from domain.gateways.breakers import Breakers

PROVIDER = "clamd"
TOO_LARGE = "scanner_limit"
_CHUNK = 1 << 16
_LONGEST_ANSWER = 4_096
_UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the scanner says: the name of what it found, or None, and which scanner it was."""

    signature: str | None
    engine: str


class Scanner:
    """A clamd at ``host:port`` or ``unix:/path``."""

    def __init__(self, address: str, breakers: Breakers, *, deadline: timedelta) -> None:
        self._address = address
        self._breakers = breakers
        self._deadline = deadline.total_seconds()

    async def scan(self, chunks: AsyncIterable[bytes]) -> Finding:
        """Scan a stream; `Rejected` if it is longer than the scanner takes, `Transient` if there is no answer."""
        with self._breakers.calling(PROVIDER, self._address):
            try:
                async with asyncio.timeout(self._deadline):
                    engine = await self._ask(b"zVERSION\0")
                    return _finding(await self._stream(chunks), engine)
            except (OSError, TimeoutError) as error:
                raise Transient(f"no answer from the scanner: {error!r}", code="scanner_down") from error

    async def _ask(self, command: bytes) -> str:
        async with self._connection() as connection:
            await connection.send(command)
            return await connection.answer()

    async def _stream(self, chunks: AsyncIterable[bytes]) -> str:
        async with self._connection() as connection:
            try:
                await connection.send(b"zINSTREAM\0")
                async for chunk in chunks:
                    for start in range(0, len(chunk), _CHUNK):
                        part = chunk[start : start + _CHUNK]
                        await connection.send(len(part).to_bytes(4, "big") + part)
                await connection.send(bytes(4))
            except ConnectionError:
                # past its limit clamd answers and hangs up while we are still sending: its answer is there to be read
                return await connection.answer()
            return await connection.answer()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        family: int = socket.AF_UNIX
        where: Any = self._address.removeprefix(_UNIX)
        loop = asyncio.get_running_loop()
        if not self._address.startswith(_UNIX):
            host, _, port = self._address.rpartition(":")
            found = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
            family, _, _, _, where = found[0]
        with socket.socket(family, socket.SOCK_STREAM) as opened:
            opened.setblocking(False)  # noqa: FBT003 - the standard library's signature
            await loop.sock_connect(opened, where)
            yield _Connection(opened, loop)


@dataclass(frozen=True, slots=True)
class _Connection:
    """A plain socket: asyncio's streams forget what was received when a send fails."""

    socket: socket.socket
    loop: asyncio.AbstractEventLoop

    async def send(self, content: bytes) -> None:
        await self.loop.sock_sendall(self.socket, content)

    async def answer(self) -> str:
        said = b""
        while not said.endswith(b"\0") and len(said) < _LONGEST_ANSWER:
            received = await self.loop.sock_recv(self.socket, _LONGEST_ANSWER)
            if not received:
                raise ConnectionResetError("the scanner hung up without an answer")
            said += received
        return said.removesuffix(b"\0").decode(errors="replace").strip()


def _finding(answer: str, engine: str) -> Finding:
    said = answer.removeprefix("stream: ")
    if said == "OK":
        return Finding(None, engine)
    if said.endswith(" FOUND"):
        return Finding(said.removesuffix(" FOUND"), engine)
    if "size limit exceeded" in said:
        raise Rejected(f"the scanner takes no file of this size: {said[:200]}", code=TOO_LARGE)
    raise Transient(f"the scanner said {said[:200]!r}", code="scanner_error")
