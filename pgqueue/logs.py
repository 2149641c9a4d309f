"""The user's four log events and a few more: readable on a terminal, JSON lines otherwise.

Names and fields come from section "Observabilidade" of the job architecture document (docs/source).
Lines of start and success are many: they are collected and written at most 100 ms later, or before any other line.
"""

from __future__ import annotations

import sys
import threading
import time
from json import dumps
from typing import TYPE_CHECKING, Any, TextIO

import structlog
from pydantic_core import to_json, to_jsonable_python

from pgqueue.outlet import Outlet
from pgqueue.secret import redact, redacted
from pgqueue.terminal import neutral

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from pgqueue.outcome import Claimed, Settlement
    from pgqueue.telemetry import Samples

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_LINES, _SECONDS = 256, 0.1


class LineWriter:
    """Collects JSON lines and writes them together."""

    def __init__(self, stream: Outlet) -> None:
        """Write to ``stream``."""
        self._stream = stream
        self._lines: list[bytes] = []
        self._lock = threading.Lock()
        self._since = time.monotonic()

    def add(self, event: dict[str, Any]) -> None:
        """Add a line; written with the next 255, or when `tick` finds it old."""
        event["timestamp"] = _now()
        line = to_json(event)
        with self._lock:  # another thread may be taking the list away
            self._lines.append(line)
        if len(self._lines) >= _LINES:
            self.flush()

    def tick(self) -> None:
        """Write what is older than 100 ms."""
        if self._lines and time.monotonic() - self._since >= _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write everything now."""
        with self._lock:
            lines, self._lines = self._lines, []
            self._since = time.monotonic()
            if lines:
                self._stream.write(b"\n".join(lines).decode() + "\n")
                self._stream.flush()


def _now() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"


def configure(level: str = "info", *, stream: TextIO | None = None, json: bool | None = None) -> LogSubscriber:
    """Set structlog up for a worker and return the subscriber that writes the job lines."""
    out = stream or sys.stderr
    as_json = not out.isatty() if json is None else json
    outlet = Outlet(out)
    writer = LineWriter(outlet)

    def written_in_order(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        writer.flush()
        return event

    renderer: Any = (
        structlog.processors.JSONRenderer(serializer=_dumps)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,  # without local variables: those hold arguments and secrets
            _without_secrets,
            *([] if as_json else [_neutral]),
            written_in_order,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(outlet),  # type: ignore[arg-type]  # it writes and flushes, as a TextIO does
        cache_logger_on_first_use=False,
    )
    return LogSubscriber(writer if as_json else None, _LEVELS[level], outlet)


def _without_secrets(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Turn values into plain ones, as JSON knows them, and mask what looks like a secret."""
    try:
        return redacted(to_jsonable_python(event, fallback=repr, inf_nan_mode="strings"))  # type: ignore[return-value]  # of a dict it makes a dict
    except Exception:  # noqa: BLE001 - a lone surrogate, a repr that raises: a log line must not fail a job
        types: dict[str, Any] = {ascii(key): ascii(type(value)) for key, value in event.items()}
        return types | {"event": redact(ascii(event.get("event")))}


def _dumps(event: Any, **_options: Any) -> str:
    try:
        return to_json(event, inf_nan_mode="strings").decode()
    except ValueError:  # a lone surrogate
        return dumps(event)


def _neutral(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep what is logged from steering the terminal, or from looking like lines of ours."""
    return {
        key: "\n".join(map(neutral, value.splitlines() if key == "exception" else [value]))
        if isinstance(value, str)
        else value
        for key, value in event.items()
    }


class LogSubscriber:
    """Writes a line for each moment of a job."""

    def __init__(self, writer: LineWriter | None, level: int, outlet: Outlet) -> None:
        """With a ``writer`` start and success are collected JSON lines; without one all goes through structlog."""
        self.writer = writer
        self._outlet = outlet
        self._quiet = level > _LEVELS["info"]
        self._log = structlog.get_logger("pgqueue")

    def close(self) -> None:
        """Write what is collected; a reader that does not read is waited for, but not for ever."""
        if self.writer:
            self.writer.flush()
        self._outlet.close()

    def started(self, job: Claimed) -> None:
        """``job.started``."""
        if not self._quiet:
            self._many("job.started", _fields(job) | {"attempt": job.attempt})

    def settled(self, job: Claimed, settlement: Settlement, seconds: float) -> None:
        """``job.completed``, ``job.failed``, ``job.dead_letter`` and the rest."""
        if self._quiet and settlement.moment == "complete":
            return  # most jobs, and nothing to write
        took = {"duration_ms": round(seconds * 1000, 3)}
        failure = settlement.failure
        match settlement.moment:
            case "complete":
                if not self._quiet:
                    self._many("job.completed", _fields(job) | took)
            case "retry" if failure:
                wait = {"retryInSeconds": settlement.seconds}
                self._log.warning("job.failed", **_failed(job, failure.error, failure.type), **took, **wait)
            case "bury" if failure:
                if settlement.reason == "attempts":
                    self._log.warning("job.failed", **_failed(job, failure.error, failure.type), **took)
                told = {"totalAttempts": job.attempt, "lastError": failure.error, "errorType": failure.type}
                self._log.error(
                    "job.dead_letter",
                    **_fields(job),
                    **told,
                    reason=settlement.reason,
                    crashes=_crashes(job, settlement),
                )
            case "crash" if failure:
                told = {"crashes": job.crashes + 1, "retryInSeconds": settlement.seconds}
                self._log.warning("job.crashed", **_failed(job, failure.error, failure.type), **took, **told)
            case "refuse":
                self._log.warning(
                    "job.refused", **_fields(job), payloadVersion=job.payload_version, rounds=job.refusals + 1
                )
            case moment if not self._quiet:
                self._log.info(
                    _ENDINGS[moment],
                    **_fields(job),
                    reason=settlement.reason or settlement.note,
                    seconds=settlement.seconds,
                )

    def lease_lost(self, job: Claimed) -> None:
        """``job.lease_lost``."""
        self._log.warning("job.lease_lost", **_fields(job), attempt=job.attempt)

    def crashed(self, job: Claimed) -> None:
        """Nothing: how it is settled says it."""

    def rescued(self, job_id: int, queue: str, kind: str, crashes: int) -> None:
        """``job.rescued``."""
        self._log.warning("job.rescued", jobClass=kind, jobId=str(job_id), queue=queue, crashes=crashes)

    def missed(self, schedule: str, ticks: int) -> None:
        """Nothing: the scheduler says it, with what the policy made of it."""

    def sampled(self, samples: Samples | None) -> None:
        """Nothing: figures are metrics."""

    def _many(self, name: str, fields: dict[str, Any]) -> None:
        if self.writer:
            self.writer.add({"event": name, "level": "info"} | fields)
        else:
            self._log.info(name, **fields)


def _crashes(job: Claimed, settlement: Settlement) -> int:
    return job.crashes + (settlement.reason == "crashed" and job.doomed is None)  # the last one, too


_ENDINGS = {
    "snooze": "job.snoozed",
    "give_back": "job.given_back",
    "discard": "job.discarded",
    "cancel": "job.cancelled",
}


def _fields(job: Claimed) -> dict[str, Any]:
    return {
        "jobClass": job.kind,
        "organizationId": job.organization_id,
        "userId": job.user_id,
        "correlationId": job.correlation_id,
        "traceId": job.trace_id,
        "jobId": str(job.id),
        "queue": job.queue,
    }


def _failed(job: Claimed, error: str, kind: str) -> dict[str, Any]:
    return _fields(job) | {"attempt": job.attempt, "error": error, "errorType": kind}
