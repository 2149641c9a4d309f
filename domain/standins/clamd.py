"""A clamd that knows one virus, the test file EICAR: `zPING`, `zVERSION` and `zINSTREAM`, with the usual switches.

drop: cut after the last byte. slow: answer ``seconds`` later. error: an ERROR answer. reject: the size limit.
"""

from __future__ import annotations

import socketserver
import threading
import time
from typing import TYPE_CHECKING, Any

from domain.standins.server import LOOPBACK, CuttingServer, StandIn, cut, serving

if TYPE_CHECKING:
    from domain.standins.faults import Fault

# in two parts, so that no scanner takes this file for the virus
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + rb"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
VERSION = "ClamAV 1.4.6/stand-in"
_LIMIT = "INSTREAM size limit exceeded. ERROR"


class ClamdStandIn(StandIn):
    """The scanner's side: how much it was given, and what it answered."""

    def __init__(self, *, max_stream: int = 25 << 20) -> None:
        super().__init__()
        self.max_stream = max_stream
        self._lock = threading.Lock()
        self._answers: list[str] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{LOOPBACK}:{self.service.port}"

    def make_service(self, address: tuple[str, int]) -> CuttingServer:
        """Serve the protocol."""
        return serving(address, CuttingServer, _Session, clamd=self)

    def state(self) -> dict[str, Any]:
        """Return the answers to all streams."""
        with self._lock:
            return {"answers": list(self._answers)}

    def verdict(self, content: bytes, fault: Fault | None) -> str | None:
        """Choose the answer to a stream; None: none."""
        answer: str | None = "stream: Eicar-Test-Signature FOUND" if EICAR in content else "stream: OK"
        match fault.kind if fault is not None else None:
            case "drop":
                answer = None
            case "error":
                answer = "Error processing command. ERROR"
            case "reject":
                answer = _LIMIT
        with self._lock:
            self._answers.append(answer or "")
        return answer


class _Session(socketserver.StreamRequestHandler):
    """One connection, one command."""

    clamd: ClamdStandIn

    def handle(self) -> None:
        command = self._command()
        match command:
            case b"zPING":
                self._say("PONG")
            case b"zVERSION":
                self._say(VERSION)
            case b"zINSTREAM":
                self._instream()
            case _:
                self._say("UNKNOWN COMMAND")

    def _command(self) -> bytes:
        command = b""
        while len(command) < 32 and (byte := self.rfile.read(1)) not in {b"", b"\0"}:  # noqa: PLR2004 - longer than any
            command += byte
        return command

    def _instream(self) -> None:
        content = bytearray()
        while length := int.from_bytes(self.rfile.read(4), "big"):
            if len(content) + length > self.clamd.max_stream:
                self.clamd.verdict(b"", None)
                self._say(_LIMIT)
                return  # it hangs up on whoever is still sending, as the real one does
            content += self.rfile.read(length)
        fault = self.clamd.faults.take()
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.seconds)
        answer = self.clamd.verdict(bytes(content), fault)
        if answer is None:
            cut(self.connection)
            return
        self._say(answer)

    def _say(self, answer: str) -> None:
        self.wfile.write(answer.encode() + b"\0")
