"""Who is measured, and with how many jobs: as many as take each of them a few seconds."""

from __future__ import annotations

from dataclasses import dataclass

OURS = "pgqueue"
RAW = "raw SQL"
GRAPHILE = "graphile-worker"
LOGS = "pgqueue, a log line for start and end"


@dataclass(frozen=True)
class Entrant:
    """One row of the table: a module of `benchmarks.peers` with one choice of its settings."""

    name: str
    module: str
    package: str = ""
    """What pip or npm calls it; empty for what runs in the project's own environment."""
    variant: str = ""
    server: str = "postgresql"
    jobs: int = 100_000
    singles: int = 2_000
    pings: int = 100
    only_drain: bool = False
    """Enqueues like another row."""

    def is_called(self, word: str) -> bool:
        """Whether somebody who asks for this word means it: the row, its package, or all rows of its module."""
        return word in {self.name, self.package, self.module}

    def scaled(self, share: float) -> Entrant:
        """Return the same with fewer jobs."""
        values = self.__dict__ | {
            "jobs": max(int(self.jobs * share), 400),
            "singles": max(int(self.singles * share), 100),
            "pings": max(int(self.pings * share), 50),
        }
        return Entrant(**values)


ENTRANTS = (
    Entrant(RAW, "raw", jobs=200_000),
    Entrant("raw SQL, delete returning", "raw", variant="pop", jobs=400_000, only_drain=True),
    Entrant(OURS, "ours"),
    Entrant("pgqueue, rows kept for 1 h", "ours", variant="1h", only_drain=True),
    Entrant(LOGS, "ours", variant="logs", only_drain=True),
    Entrant("pgqueue, from the outbox", "ours", variant="outbox", only_drain=True),
    Entrant(GRAPHILE, "graphile", "graphile-worker"),
    Entrant("pg-boss", "pgboss", "pg-boss", jobs=50_000),
    Entrant("pgqueuer", "pgqueuer", "pgqueuer", jobs=50_000),
    Entrant("chancy", "chancy", "chancy", jobs=20_000),
    Entrant("awa", "awa", "awa-pg", jobs=10_000),
    Entrant("procrastinate", "procrastinate", "procrastinate", jobs=2_000),
    Entrant("celery + Redis", "celery", "celery", server="redis", jobs=5_000),
    Entrant("dramatiq + Redis", "dramatiq", "dramatiq", server="redis", jobs=20_000),
    Entrant("taskiq + Redis", "taskiq", "taskiq", server="redis", jobs=15_000),
)
