"""The scenes: what goes wrong on purpose, and when."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from domain.demo.facts import TRIAGE
from domain.demo.processes import ROOT
from domain.standins.faults import FOR_EVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.demo.facts import Facts
    from domain.demo.processes import Remote, Worker
    from domain.demo.screen import Screen

DEADLINE = 55.0
_LOOK_EVERY = 0.1
_SLOW_SECONDS = 20.0


class OutOfTime(Exception):
    """Something that had to happen did not."""


@dataclass(slots=True)
class Findings:
    """What the scenes were about, for the checks."""

    keys: dict[str, str] = field(default_factory=dict)
    """The idempotency key of the post that each scene hit."""
    dead: list[dict[str, Any]] = field(default_factory=list)
    """The dead letters before they were requeued."""
    killed_pid: int | None = None


@dataclass(slots=True)
class Stage:
    """Everything that runs."""

    screen: Screen
    facts: Facts
    network: Remote
    shaky: Remote
    mail: Remote
    workers: list[Worker]
    total: int
    findings: Findings = field(default_factory=Findings)
    _ends: float = field(default_factory=lambda: time.monotonic() + DEADLINE)

    def until(self, what: str, happened: Callable[[], object]) -> Any:
        """Show the progress until something has happened, and return it."""
        while True:
            found = happened()
            if found:
                return found
            if time.monotonic() > self._ends:
                raise OutOfTime(f"{what} did not happen in {DEADLINE:.0f} s")
            self.screen.progress(self.facts.posts(), self.facts.jobs(), self.total)
            time.sleep(_LOOK_EVERY)

    def spoil(self, kind: str, *, seconds: float = 1.0) -> str:
        """Spoil the network's next call and return the key it came with."""
        self.network.tell("faults", kind=kind, calls=1, seconds=seconds, fresh=True)
        return str(self.until(f"a call to spoil ({kind})", lambda: self._spoiled(kind)))

    def _spoiled(self, kind: str) -> str | None:
        calls = self.network.state()["spoiled"]
        return next((call["key"] for call in calls if call["kind"] == kind), None)


def play(stage: Stage) -> None:
    """Let everything go wrong, one thing after the other, and wait until it has been made good."""
    screen, keys = stage.screen, stage.findings.keys
    stage.shaky.tell("faults", kind="error", calls=FOR_EVER)
    screen.say("the second network answers 500, to everything")
    stage.until("the first post", lambda: stage.facts.posts().get("published"))
    screen.say("the first post is online")
    keys["drop"] = stage.spoil("drop")
    screen.say("the network stored a post and its answer was lost: nobody knows whether it is there", style="yellow")
    _kill_a_worker(stage)
    keys["rate_limit"] = stage.spoil("rate_limit", seconds=1)
    screen.say("the network said: too many requests, come back in a minute (a second here)", style="yellow")
    keys["reject"] = stage.spoil("reject")
    screen.say("the network refused a post for good", style="yellow")
    _requeue_the_dead(stage)
    stage.until("the end of all jobs", lambda: stage.facts.live_jobs() == 0)


def _kill_a_worker(stage: Stage) -> None:
    """SIGKILL the worker whose call the network is just answering."""
    key = stage.findings.keys["kill"] = stage.spoil("slow", seconds=_SLOW_SECONDS)
    stage.until("a call in flight", lambda: key in stage.network.state()["open_calls"])
    pid = stage.until("the worker of that call", lambda: stage.facts.worker_pid_of(key))
    worker = next(worker for worker in stage.workers if worker.runs(pid))
    worker.kill()
    stage.findings.killed_pid = pid
    stage.screen.say(f"{worker.name} (pid {pid}) was killed while it published a post", style="yellow")


def _requeue_the_dead(stage: Stage) -> None:
    """Look at the dead letter as an operator would, repair the network, requeue."""
    dead = stage.until("the dead letter", lambda: stage.facts.rows(TRIAGE))
    stage.findings.dead = dead
    stage.screen.say("a job died; triage is SQL:", style="yellow")
    stage.screen.show(TRIAGE)
    for row in dead:
        stage.screen.show("  ".join(f"{name}={value}" for name, value in row.items()))
    stage.shaky.tell("clear")
    job_id = str(dead[0]["id"])
    stage.screen.say(f"the second network works again: pgqueue dead requeue {job_id}")
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "pgqueue", "dead", "requeue", job_id], cwd=ROOT, check=True, capture_output=True
    )


def as_json(result: dict[str, Any]) -> str:
    """Return the result for machines."""
    return json.dumps(result, indent=2, ensure_ascii=False, default=str)
