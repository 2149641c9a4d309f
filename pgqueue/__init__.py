"""pgqueue: background jobs in PostgreSQL, enqueued in the same transaction as the change that needs them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from pgqueue.version import __version__

if TYPE_CHECKING:
    from pgqueue.alerts import Alerts, Email, FailureRate, Level, Notice, Wait, Webhook
    from pgqueue.app import App
    from pgqueue.breakers import Breaker, Breakers
    from pgqueue.context import Context, bind, current_context
    from pgqueue.errors import CircuitOpen
    from pgqueue.job import Death, Job, JobFailed
    from pgqueue.limit import Limit, Rate
    from pgqueue.outcome import Cancel, Continue, Dead, Discard, Done, Outcome, RetryIn, Snooze
    from pgqueue.queue import AsyncQueue, Queue
    from pgqueue.retry import Retry
    from pgqueue.schedule import AsyncSchedules, Schedule, Schedules
    from pgqueue.setting_tables import QueueSettings
    from pgqueue.settings import Settings
    from pgqueue.taking import take, take_async
    from pgqueue.unique import Debounce, Throttle, Unique
    from pgqueue.worker.context import JobContext

__all__ = [
    "Alerts",
    "App",
    "AsyncQueue",
    "AsyncSchedules",
    "Breaker",
    "Breakers",
    "Cancel",
    "CircuitOpen",
    "Context",
    "Continue",
    "Dead",
    "Death",
    "Debounce",
    "Discard",
    "Done",
    "Email",
    "FailureRate",
    "Job",
    "JobContext",
    "JobFailed",
    "Level",
    "Limit",
    "Notice",
    "Outcome",
    "Queue",
    "QueueSettings",
    "Rate",
    "Retry",
    "RetryIn",
    "Schedule",
    "Schedules",
    "Settings",
    "Snooze",
    "Throttle",
    "Unique",
    "Wait",
    "Webhook",
    "__version__",
    "bind",
    "current_context",
    "take",
    "take_async",
]

# Loaded on first use: `pgqueue --help` needs none of it, and pydantic, psycopg and structlog take half a second.
_HOMES = {
    "alerts": ("Alerts", "Email", "FailureRate", "Level", "Notice", "Wait", "Webhook"),
    "app": ("App",),
    "breakers": ("Breaker", "Breakers"),
    "context": ("Context", "bind", "current_context"),
    "errors": ("CircuitOpen",),
    "job": ("Death", "Job", "JobFailed"),
    "limit": ("Limit", "Rate"),
    "outcome": ("Cancel", "Continue", "Dead", "Discard", "Done", "Outcome", "RetryIn", "Snooze"),
    "queue": ("AsyncQueue", "Queue"),
    "retry": ("Retry",),
    "schedule": ("AsyncSchedules", "Schedule", "Schedules"),
    "setting_tables": ("QueueSettings",),
    "settings": ("Settings",),
    "taking": ("take", "take_async"),
    "unique": ("Debounce", "Throttle", "Unique"),
    "worker.context": ("JobContext",),
}
_HOME = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
