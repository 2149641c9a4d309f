"""What the stand-ins share: a listening thread that can be stopped and started again, and a port for the switches."""

from __future__ import annotations

import json
import socket
import socketserver
import struct
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Self

from domain.standins.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from socketserver import BaseRequestHandler

LOOPBACK = "127.0.0.1"
GARBAGE = b"<html>\x00 not what you asked for"
_LARGEST = 1 << 20
_NO_LINGER = struct.pack("ii", 1, 0)


class Listening:
    """A server in a thread. Closed, its port refuses connections; opened again, it is the same port."""

    def __init__(self, make: Callable[[tuple[str, int]], CuttingServer]) -> None:
        self._make = make
        self._server: CuttingServer | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    def open(self) -> None:
        """Listen; the first time on a free port."""
        if self._server is not None:
            return
        server = self._make((LOOPBACK, self.port))
        self.port = server.socket.getsockname()[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self._server, self._thread = server, thread

    def close(self) -> None:
        """Stop listening."""
        server, self._server = self._server, None
        if server is not None:
            ending = threading.Thread(target=server.shutdown)
            ending.start()
            while ending.is_alive():  # its loop looks up every half second, or when somebody calls
                with suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1):
                    ending.join(0.01)
            server.server_close()
        if self._thread is not None:
            self._thread.join()


class CuttingServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A server that, closed, also cuts the connections it has: a client's kept one must not live on."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, *given: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*given)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        self._open.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        """Forget it."""
        self._open.discard(request)
        super().close_request(request)

    def server_close(self) -> None:
        """Stop listening and cut what is open."""
        super().server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go away in mid-call are what a stand-in is for."""


class QuietServer(CuttingServer, HTTPServer):
    """The same, for HTTP."""


class JsonHandler(BaseHTTPRequestHandler):
    """Reads and writes JSON."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Write no access log."""

    def body(self) -> Any:
        """Read the request's JSON."""
        length = min(int(self.headers.get("Content-Length") or 0), _LARGEST)
        return json.loads(self.rfile.read(length) or b"{}")

    def answer(self, content: object, status: int = HTTPStatus.OK, **headers: str) -> None:
        """Send JSON."""
        self.send(json.dumps(content).encode(), "application/json", status, **headers)

    def send(self, content: bytes, kind: str, status: int = HTTPStatus.OK, **headers: str) -> None:
        """Send anything."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def drip(self, seconds: float) -> None:
        """Send a header that never ends, a byte at a time."""
        end = time.monotonic() + seconds
        self.close_connection = True
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while time.monotonic() < end:
                self.wfile.write(b".")
                time.sleep(0.05)

    def hang_up(self) -> None:
        """Cut the connection without a word (a reset, so that the client notices at once)."""
        cut(self.connection)
        self.close_connection = True


def cut(connection: socket.socket) -> None:
    """Reset a connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    connection.shutdown(socket.SHUT_RD)


def serving(
    address: tuple[str, int], server: type[CuttingServer], handler: type[BaseRequestHandler], **known: object
) -> CuttingServer:
    """Make a server whose handlers know their stand-in, or parts of it, by these names."""
    return server(address, type(handler.__name__, (handler,), known))


class StandIn:
    """One stand-in: its service, and a control port: ``POST /faults``, ``/waiting``, ``/listen``; ``GET /state``."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.service = Listening(self.make_service)
        self._control = Listening(self._make_control)

    def make_service(self, address: tuple[str, int]) -> CuttingServer:
        """Make the server that plays the part."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Return what happened so far, for checks."""
        raise NotImplementedError

    def command(self, name: str, content: dict[str, Any]) -> object:
        """Do what the control port was asked."""
        match name:
            case "faults":
                self.faults.set(**content)
            case "clear":
                self.faults.clear()
            case "waiting":
                return {"calls": self.faults.waiting()}
            case "listen":
                self.service.open() if content["open"] else self.service.close()
            case _:
                raise KeyError(name)
        return {}

    @property
    def url(self) -> str:
        """Where the service is."""
        return f"http://{LOOPBACK}:{self.service.port}"

    @property
    def control_url(self) -> str:
        """Where the switches are."""
        return f"http://{LOOPBACK}:{self._control.port}"

    def _make_control(self, address: tuple[str, int]) -> QuietServer:
        stand_in = self

        class Control(JsonHandler):
            def do_GET(self) -> None:
                self.answer(stand_in.state())

            def do_POST(self) -> None:
                self.answer(stand_in.command(self.path.strip("/"), self.body()))

        return QuietServer(address, Control)

    def start(self) -> None:
        """Open both ports."""
        self.service.open()
        self._control.open()

    def stop(self) -> None:
        """Close both ports."""
        self.service.close()
        self._control.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
