"""pgqueue: background jobs in PostgreSQL, enqueued in the same transaction as the change that needs them."""

from __future__ import annotations

from pgqueue.app import App
from pgqueue.context import Context, bind, current_context
from pgqueue.job import Death, Job, JobFailed
from pgqueue.outcome import Cancel, Continue, Dead, Discard, Done, Outcome, RetryIn, Snooze
from pgqueue.queue import AsyncQueue, Queue
from pgqueue.retry import Retry
from pgqueue.settings import QueueSettings, Settings
from pgqueue.version import __version__
from pgqueue.worker.context import JobContext

__all__ = [
    "App",
    "AsyncQueue",
    "Cancel",
    "Context",
    "Continue",
    "Dead",
    "Death",
    "Discard",
    "Done",
    "Job",
    "JobContext",
    "JobFailed",
    "Outcome",
    "Queue",
    "QueueSettings",
    "Retry",
    "RetryIn",
    "Settings",
    "Snooze",
    "__version__",
    "bind",
    "current_context",
]
