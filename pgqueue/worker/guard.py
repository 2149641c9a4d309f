"""Watches the event loop from a thread: says which job blocks it, and ends the process when it does not end.

Nothing inside can heal a blocked loop, but before the process goes this thread settles what it can: the job that blocks
is counted as crashed, so that it runs alone in a child from then on; the others are given back. Should code hold the
interpreter itself (a loop in C), not even this thread runs; then the one that `faulthandler` keeps outside ends it.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

import structlog

from pgqueue import outcome as fate
from pgqueue.db import connect, run
from pgqueue.failure import Failure
from pgqueue.worker.context import JobContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from pgqueue.worker.process import Worker

_EVERY = 0.25  # seconds
_BLOCKED = 1.0  # seconds after which a blocked loop is worth a line
_NOBODY = 60.0  # seconds that the loop may be blocked when no job can be named
_FRAMES = 20
_CODE = 1  # gave jobs back; a supervisor starts another process


class Guard:
    """One thread for one worker, in a process that may be ended."""

    def __init__(self, worker: Worker, on_end: Callable[[], None], leave: Callable[[int], object] = os._exit) -> None:
        """Watch from `start` on. ``on_end`` is called before the process ends by ``leave``."""
        self._worker = worker
        self._on_end = on_end
        self._leave = leave
        self._loop_thread = threading.get_ident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pgqueue guard", daemon=True)
        self._blocked = 0.0
        self._told = False
        self._seen: float | None = None

    def start(self) -> None:
        """Start the thread."""
        self._arm()
        self._thread.start()

    def stop(self) -> None:
        """Stop: the worker ends."""
        self._stop.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def _work(self) -> None:
        ticks = 0
        while not self._stop.wait(_EVERY):
            ticks += 1
            if ticks % 4 == 0:
                self._arm()
            self.look()

    def look(self) -> None:
        """Look once; time counts in looks, so that a process that was frozen has not blocked."""
        looked = self._worker.watch.looked
        if looked is None or looked != self._seen:
            self._seen, self._blocked, self._told = looked, 0.0, False
            return
        self._blocked += _EVERY
        if self._blocked < _BLOCKED:
            return
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the one way to see another thread's stack
        ctx = _job_in(frame)
        if not self._told:
            self._told = True
            self._tell(ctx, frame)
        longest = _NOBODY if ctx is None else 2 * self._timeout(ctx)
        if self._blocked > longest:
            self._end(ctx)

    def _timeout(self, ctx: JobContext) -> float:
        return self._worker.runner.kinds[ctx.kind].timeout

    def _arm(self) -> None:
        """Have the process ended unless this is called again in time."""
        if sys.__stderr__ is not None:
            faulthandler.dump_traceback_later(self._longest(), exit=True, file=sys.__stderr__)

    def _longest(self) -> float:
        """Return how long the interpreter may be held: longer than the loop may be blocked."""
        running = list(self._worker.runner.running.values())
        return max([_NOBODY, *(2 * self._timeout(each.ctx) for each in running)]) + _NOBODY / 2

    def _tell(self, ctx: JobContext | None, frame: FrameType | None) -> None:
        stack = "".join(traceback.format_stack(frame, _FRAMES)) if frame else ""
        log = ctx.log if ctx is not None else structlog.get_logger("pgqueue")
        log.warning("loop.blocked", seconds=self._blocked, stack=stack, hint="await, or use a plain def or a process")

    def _end(self, ctx: JobContext | None) -> None:
        """Settle what can be settled, and go."""
        log = structlog.get_logger("pgqueue")
        try:
            settlements = self._worker.pump.last_word()
            if ctx is not None:
                text = f"the job blocked the event loop for {self._blocked:g} s, and its process was ended"
                claimed = ctx._claimed  # noqa: SLF001 - a part of the worker
                most = claimed.crashes + 2  # never buried from here: it runs alone in a child next, and on_dead with it
                crash = fate.crash(claimed, Failure("LoopBlocked", text), most, self._worker.settings.time_scale)
                settlements = [crash if each.id == claimed.id else each for each in settlements]
            with connect(self._worker.url, name="pgqueue guard") as conn:
                if settlements:
                    run(conn, self._worker.lifecycle.settle_batch(settlements))
        except Exception as error:  # noqa: BLE001 - whatever it is, the process has to go; rescue does the rest
            log.error("worker.last_word_failed", error=f"{type(error).__name__}: {error}")  # noqa: TRY400 - the cause is one line
        log.error("worker.recycling", reason="the event loop is blocked", seconds=self._blocked)
        self._on_end()
        self._leave(_CODE)


def _job_in(frame: FrameType | None) -> JobContext | None:
    """Find the job whose code the loop is in: the runner's call stands below it on the stack."""
    while frame is not None:
        if frame.f_code.co_name == "_call" and frame.f_globals.get("__name__") == "pgqueue.worker.runner":
            found: Any = frame.f_locals.get("ctx")
            return found if isinstance(found, JobContext) else None
        frame = frame.f_back
    return None
