"""The end: what was promised and whether it was kept, in words or as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from domain.demo.scenes.forgotten import REPORT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from domain.demo.checks import Check
    from domain.demo.facts import Facts
    from domain.demo.scene import Scene
    from domain.demo.screen import Screen

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Played:
    """A scene that was played, and how it ended."""

    scene: Scene
    seconds: float
    checks: list[Check]

    @property
    def ok(self) -> bool:
        """Whether all its promises were kept."""
        return all(check.ok for check in self.checks)


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that was found in the end."""

    scenes: Sequence[Played]
    checks: Sequence[Check]
    figures: dict[str, Any]
    seconds: float
    memory: int

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return all(played.ok for played in self.scenes) and all(check.ok for check in self.checks)

    def as_json(self, more: Mapping[str, Any]) -> str:
        """Return it, and more, for machines; times in seconds, memory in MiB."""
        scenes = [
            {
                "number": played.scene.number,
                "title": played.scene.title,
                "ok": played.ok,
                "seconds": round(played.seconds, 1),
                "checks": [check._asdict() for check in played.checks],
            }
            for played in self.scenes
        ]
        result = {
            "ok": self.ok,
            "seconds": round(self.seconds, 1),
            "memory_peak_mib": round(self.memory / MEBIBYTE),
            "scenes": scenes,
            "checks": [check._asdict() for check in self.checks],
        }
        return json.dumps(result | self.figures | dict(more), indent=2, ensure_ascii=False, default=str)

    def tell(self, screen: Screen, timeline: str) -> None:
        """Print it for people."""
        for played in self.scenes:
            screen.show(f"\n{played.scene.number}. {played.scene.title} ({played.seconds:.1f} s)")
            for check in played.checks:
                screen.verdict(check.name, check.detail, ok=check.ok)
        screen.show("\nEverywhere")
        for check in self.checks:
            screen.verdict(check.name, check.detail, ok=check.ok)
        jobs, attempts = self.figures["jobs"], self.figures["publish_attempts"]
        screen.show(
            f"\njobs: {jobs.get('completed', 0)} done · {self.figures['jobs_retried']} retried · "
            f"{jobs.get('discarded', 0)} discarded · {jobs.get('dead', 0)} dead · "
            f"{self.figures['dead_letters_requeued']} requeued"
        )
        screen.show("calls to networks: " + " · ".join(f"{number} {outcome}" for outcome, number in attempts.items()))
        waits = self.figures["wait_milliseconds"]
        screen.show(f"first call after its time: p50 {waits['p50']:.0f} ms, p95 {waits['p95']:.0f} ms")
        report = f"→ {REPORT} · " if any(played.scene.number == LAST for played in self.scenes) else "→ "
        screen.show(f"{report}timeline {timeline}")
        memory = f", at most {self.memory / MEBIBYTE:.0f} MiB of memory" if self.memory else ""
        verdict = "every check held" if self.ok else "NOT every check held"
        screen.say(f"{verdict}; {self.seconds:.0f} s{memory}", style="bold green" if self.ok else "bold red")


LAST = 11


def figures(facts: Facts) -> dict[str, Any]:
    """Collect the numbers."""
    attempts = facts.rows(
        "SELECT coalesce(outcome, 'open') AS outcome, count(*) AS n FROM smm.publish_attempts GROUP BY 1 ORDER BY 1"
    )
    return {
        "posts_on_the_networks": len(facts.on_networks()),
        "posts": facts.posts(),
        "publish_attempts": {row["outcome"]: row["n"] for row in attempts},
        "jobs": facts.jobs(),
        "jobs_retried": facts.number(
            "SELECT coalesce(sum(attempt - 1), 0) FROM pgqueue.all_jobs WHERE attempt > 1 AND state <> 'merged'"
        ),
        "dead_letters": facts.number("SELECT count(*) FROM pgqueue.dead_jobs"),
        "dead_letters_requeued": facts.number("SELECT count(*) FROM pgqueue.actions WHERE verb = 'requeue'"),
        "notices": facts.number("SELECT count(*) FROM smm.notifications"),
        "mails": len(facts.outside.mail.state()["messages"]),
        "wait_milliseconds": facts.waits(),
    }
