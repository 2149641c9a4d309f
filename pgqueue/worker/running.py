"""A job that runs: what watchdog and heartbeat need to end it, and what is left of one that does not end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from pgqueue.outcome import Claimed
    from pgqueue.worker.context import JobContext

_LEAST_PATIENCE = 10.0  # seconds in which the next run of a job waits for what is left of the one before


class Stopped(BaseException):
    """A run that was ended from outside."""

    def __init__(self, why: str, timeout: float) -> None:
        """``why``: "timeout", "cancel", "lease" or "shutdown"."""
        self.why = why
        self.timeout = timeout


class Running:
    """A job in a resident runner."""

    __slots__ = ("claimed", "ctx", "deadline", "stopped", "stopped_at", "task")

    def __init__(self, claimed: Claimed, ctx: JobContext, deadline: float, task: asyncio.Task[Any]) -> None:
        """Start the clock."""
        self.claimed = claimed
        self.ctx = ctx
        self.deadline = deadline
        self.task = task
        self.stopped: str | None = None
        self.stopped_at = 0.0

    def stop(self, why: str) -> None:
        """End the job: "timeout", "cancel", "lease" or "shutdown". A thread can only be told."""
        if self.stopped is None:
            self.stopped = why
            self.stopped_at = time.monotonic()
            self.ctx.cancelled = True
            self.task.cancel()


class Leftovers:
    """Runs that were ended and go on all the same: threads, and tasks that swallow their cancellation.

    Nothing in Python can end them, so they are counted. With too many, or when the next run of the same job has waited
    for one long enough, only the end of the process helps.
    """

    def __init__(self, most: int) -> None:
        """Allow this many at once."""
        self._most = most
        self.runs: dict[object, tuple[int, float]] = {}
        """What goes on: the job's id and its timeout."""
        self._waiting: dict[int, float] = {}

    def __len__(self) -> int:
        """How many go on."""
        return len(self.runs)

    def add(self, run: object, job_id: int, timeout: float) -> None:
        """Count a run that was told to end and does not."""
        self.runs[run] = job_id, timeout

    def end(self, run: object) -> None:
        """It has ended after all. Called from its thread, too."""
        self.runs.pop(run, None)

    def blocks(self, job_id: int) -> bool:
        """Tell whether an earlier run of this job goes on here: two must not run at once."""
        if not self.runs:
            return False
        for held, timeout in list(self.runs.values()):
            if held == job_id:
                self._waiting.setdefault(job_id, time.monotonic() + max(timeout, _LEAST_PATIENCE))
                return True
        self._waiting.pop(job_id, None)
        return False

    def too_many(self) -> str | None:
        """Say why the process has to end; None: it need not."""
        if not self.runs:
            self._waiting.clear()
            return None
        if len(self.runs) >= self._most:
            return f"{len(self.runs)} jobs go on although they were told to end"
        held = {job_id for job_id, _ in list(self.runs.values())}
        late = [job for job, until in self._waiting.items() if job in held and time.monotonic() > until]
        return f"job {late[0]} waits for the end of its earlier run, which does not come" if late else None
