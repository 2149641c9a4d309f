"""Tests of applications that enqueue: the real queue inside the transaction of a test, or on a database of its own.

With pytest, `queue_tester` and the other fixtures are there when this package is installed.
"""

from __future__ import annotations

from pgqueue.testing.asynchronous import AsyncQueueTester
from pgqueue.testing.clock import DatabaseClock
from pgqueue.testing.database import prepare, temporary_database, work, work_async
from pgqueue.testing.faults import Injected, fail
from pgqueue.testing.records import Drained, Ran
from pgqueue.testing.synchronous import QueueTester
from pgqueue.testing.tester import perform

__all__ = [
    "AsyncQueueTester",
    "DatabaseClock",
    "Drained",
    "Injected",
    "QueueTester",
    "Ran",
    "fail",
    "perform",
    "prepare",
    "temporary_database",
    "work",
    "work_async",
]
