"""An S3 as far as we use one: a bucket whose requests have to be signed, with the usual switches."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from domain.standins.s3_objects import Objects, Refused
from domain.standins.s3_signing import Request, fault_of
from domain.standins.server import GARBAGE, CuttingServer, JsonHandler, QuietServer, StandIn, serving

if TYPE_CHECKING:
    from domain.standins.faults import Fault

_LARGEST = 64 << 20
_REFUSALS = {
    "rate_limit": ("SlowDown", HTTPStatus.SERVICE_UNAVAILABLE),
    "unauthorized": ("AccessDenied", HTTPStatus.FORBIDDEN),
    "error": ("InternalError", HTTPStatus.INTERNAL_SERVER_ERROR),
    "reject": ("InvalidRequest", HTTPStatus.BAD_REQUEST),
}


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes = b""
    status: int = HTTPStatus.OK
    headers: dict[str, str] = field(default_factory=dict)


class S3StandIn(StandIn):
    """The store's side."""

    bucket = "objects"
    region = "us-east-1"
    access_key = "AKIASTANDIN"
    secret_key = "made-up-for-loopback"  # noqa: S105 - as it says

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.objects = Objects(self.bucket)
        self.calls: list[str] = []
        self.ahead = timedelta(0)
        """How far the store's clock is in front: addresses that are signed end by it."""

    def make_service(self, address: tuple[str, int]) -> CuttingServer:
        """Serve the API."""
        return serving(address, QuietServer, _Api, s3=self)

    def state(self) -> dict[str, Any]:
        """Return what is stored and what was asked."""
        with self.lock:
            sizes = {key: len(found.content) for key, found in self.objects.stored.items()}
            return {"objects": sizes, "uploads": len(self.objects.uploads), "calls": list(self.calls)}

    def answer(self, request: Request) -> _Answer:
        """Do what was asked, if the signature is good."""
        now = datetime.now(UTC) + self.ahead
        fault = fault_of(request, access_key=self.access_key, secret_key=self.secret_key, now=now)
        if fault is not None:
            raise Refused(fault, HTTPStatus.FORBIDDEN)
        bucket, _, key = unquote(request.path).lstrip("/").partition("/")
        if bucket != self.bucket:
            raise Refused("NoSuchBucket", HTTPStatus.NOT_FOUND)
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        with self.lock:
            return self._do(request, key, query)

    def _do(self, request: Request, key: str, query: dict[str, str]) -> _Answer:
        objects, body = self.objects, request.body.decode("utf-8", "replace")
        match request.method:
            case "GET" if not key:
                return _xml(objects.list(query))
            case "GET" | "HEAD":
                return self._read(request, key)
            case "PUT" if "uploadId" in query:
                part, told = objects.part(query, request.body, request.headers)
                return _Answer(told.encode(), headers={"ETag": part.tag})
            case "PUT":
                told = objects.put(key, request.body, request.headers)
                return _Answer(told.encode(), headers={"ETag": objects.get(key).tag})
            case "POST":
                return self._post(request, key, query, body)
            case "DELETE":
                objects.stored.pop(key, None) if "uploadId" not in query else objects.uploads.pop(query["uploadId"], 0)
                return _Answer(status=HTTPStatus.NO_CONTENT)
        raise Refused("MethodNotAllowed", HTTPStatus.METHOD_NOT_ALLOWED)

    def _post(self, request: Request, key: str, query: dict[str, str], body: str) -> _Answer:
        if "delete" in query:
            return _xml(self.objects.delete(body))
        if "uploads" in query:
            return _xml(self.objects.begin(key))
        return _xml(self.objects.complete(key, query.get("uploadId", ""), body, request.headers))

    def _read(self, request: Request, key: str) -> _Answer:
        found = self.objects.get(key)
        headers = {
            "ETag": found.tag,
            "Last-Modified": format_datetime(found.at, usegmt=True),
            "Accept-Ranges": "bytes",
            "Content-Type": found.kind,
        }
        wanted = request.headers.get("range", "")
        if not wanted.startswith("bytes="):
            return _Answer(found.content, headers=headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(len(found.content) - int(last), 0)
        end = min(int(last), len(found.content) - 1) if first and last else len(found.content) - 1
        if start >= len(found.content):
            raise Refused("InvalidRange", HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(found.content)}"
        return _Answer(found.content[start : end + 1], HTTPStatus.PARTIAL_CONTENT, headers)


class _Api(JsonHandler):
    """The HTTP side."""

    s3: S3StandIn

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        self._serve()

    def do_HEAD(self) -> None:  # noqa: N802 - http.server's name
        self._serve()

    def do_PUT(self) -> None:  # noqa: N802 - http.server's name
        self._serve()

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        self._serve()

    def do_DELETE(self) -> None:  # noqa: N802 - http.server's name
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), _LARGEST))
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.s3.faults.take(path=self.path)
        with self.s3.lock:
            self.s3.calls.append(f"{self.command} {url.path}")
        try:
            refused = None if fault is None else _REFUSALS.get(fault.kind)
            request = Request(self.command, url.path, url.query, headers, body)
            answer = self.s3.answer(request) if refused is None else _refusal(*refused)
        except Refused as no:
            answer = _refusal(no.code, no.status)
        if fault is None or not self._spoil(fault):
            self._say(answer)

    def _spoil(self, fault: Fault) -> bool:
        """Spoil the answer of a request that is done; tell whether nothing more is to be sent."""
        match fault.kind:
            case "drop":
                self.hang_up()
            case "garbage":
                self._say(_Answer(GARBAGE))
            case "drip":
                self.drip(fault.seconds)
            case "slow":
                time.sleep(fault.seconds)
                return False
            case _:
                return False
        return True

    def _say(self, answer: _Answer) -> None:
        self.send_response(answer.status)
        for name, value in ({"Content-Type": "application/xml"} | answer.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


def _refusal(code: str, status: int) -> _Answer:
    return _xml(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>", status)


def _xml(content: str, status: int = HTTPStatus.OK) -> _Answer:
    return _Answer(f'<?xml version="1.0" encoding="UTF-8"?>{content}'.encode(), status)
