"""A mail server that keeps what it is given: enough of SMTP for any client, and the same switches as the others."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
import time
from typing import Any

from domain.standins.server import LOOPBACK, CuttingServer, StandIn, cut, serving

_LONGEST_LINE = 2_000
_LARGEST = 1 << 20


class MailStandIn(StandIn):
    """Everybody's mailbox."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._messages: list[dict[str, Any]] = []

    @property
    def port(self) -> int:
        """The SMTP port."""
        return self.service.port

    @property
    def url(self) -> str:
        """Where mail goes."""
        return f"smtp://{LOOPBACK}:{self.port}"

    def make_service(self, address: tuple[str, int]) -> CuttingServer:
        """Serve SMTP."""
        return serving(address, CuttingServer, _Smtp, mail=self)

    def state(self) -> dict[str, Any]:
        """Return every message that was accepted."""
        with self._lock:
            return {"messages": list(self._messages)}

    def keep(self, recipients: list[str], content: bytes) -> None:
        """Accept a message."""
        message = email.message_from_bytes(content, policy=email.policy.default)
        body = message.get_body(("plain",))
        with self._lock:
            self._messages.append(
                {
                    "to": recipients,
                    "subject": str(message["Subject"]),
                    "message_id": str(message["Message-ID"]),
                    "text": body.get_content() if body is not None else "",
                }
            )


class _Smtp(socketserver.StreamRequestHandler):
    """One conversation."""

    mail: MailStandIn

    def handle(self) -> None:
        recipients: list[str] = []
        self._say("220 stand-in ready")
        while line := self.rfile.readline(_LONGEST_LINE):
            verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            match verb.upper():
                case "EHLO":
                    self._say("250-stand-in", "250-8BITMIME", "250 SMTPUTF8")
                case "MAIL" | "RSET":
                    recipients = []
                    self._say("250 2.1.0 Ok")
                case "RCPT":
                    recipients.append(rest.partition("<")[2].partition(">")[0])
                    self._say("250 2.1.5 Ok")
                case "DATA":
                    self._say("354 End data with a dot")
                    if not self._accept(recipients, self._data()):
                        return
                case "QUIT":
                    self._say("221 2.0.0 Bye")
                    return
                case "HELO" | "NOOP":
                    self._say("250 Ok")
                case _:
                    self._say("502 5.5.2 Not understood")

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    def _data(self) -> bytes:
        lines: list[bytes] = []
        size = 0
        while (line := self.rfile.readline(_LONGEST_LINE)) not in (b".\r\n", b""):
            size += len(line)
            if size <= _LARGEST:
                lines.append(line[1:] if line.startswith(b"..") else line)
        return b"".join(lines)

    def _accept(self, recipients: list[str], content: bytes) -> bool:
        """Keep the message, unless a switch says otherwise; False: the conversation is over."""
        fault = self.mail.faults.take()
        kind = fault.kind if fault is not None else None
        if kind in ("rate_limit", "error"):
            self._say("451 4.3.0 Try again later")
            return True
        if kind in ("reject", "unauthorized"):
            self._say("550 5.1.1 No such mailbox")
            return True
        self.mail.keep(recipients, content)
        if kind == "drop":
            cut(self.connection)
            return False
        if fault is not None and kind == "slow":
            time.sleep(fault.seconds)
        self._say("250 2.0.0 Ok: kept")
        return True
