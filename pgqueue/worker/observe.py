"""Connects a worker with its logs and metrics."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pgqueue.logs import configure
from pgqueue.metrics import MetricsSubscriber
from pgqueue.secret import learn
from pgqueue.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.settings import Settings


def observers(settings: Settings, metrics_port: int | None) -> tuple[Telemetry, Callable[[], None], Callable[[], None]]:
    """Return the telemetry, what to call every 50 ms, and what to call at the end."""
    from prometheus_client import CollectorRegistry, start_http_server

    learn(settings.secrets)
    logs = configure(settings.log_level)
    registry = CollectorRegistry()
    metrics = MetricsSubscriber(registry)
    if metrics_port is not None and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        start_http_server(metrics_port, registry=registry)
    writer = logs.writer
    return Telemetry([metrics, logs]), (writer.tick if writer else _nothing), logs.close


def _nothing() -> None:
    """Do nothing."""
