"""A host under supervision, as the database shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgqueue.cli import main
from tests.sql.client import column, scalar
from tests.worker.harness import CONTEXT
from tests.worker.processes import Process
from tests.worker.supervised import queue

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worker.harness import Hall


class Supervised(Process):
    verb = "supervise"
    application = "tests.worker.supervised:app"


class Single(Process):
    application = "tests.worker.supervised:app"


class Host:
    """A configuration file, and what is seen of the processes that follow it."""

    def __init__(self, hall: Hall, folder: Path) -> None:
        self.hall = hall
        self.conn = hall.conn
        self.file = folder / "pgqueue.toml"
        self.logs = folder / "logs"
        self.logs.mkdir()

    def write(self, text: str) -> None:
        self.file.write_text(text, "utf-8")

    def supervisor(self, *words: str, **environment: str) -> Supervised:
        return Supervised(self.logs, self.hall.url, *words, PGQUEUE_CONFIG=str(self.file), **environment)

    def single(self) -> Single:
        return Single(self.logs, self.hall.url, PGQUEUE_CONFIG=str(self.file))

    def say(self, *words: str) -> None:
        assert main([*words, "--database-url", self.hall.url, "--by", "ann"]) == 0

    def pids(self) -> set[int]:
        return set(column(self.conn, "SELECT pid FROM pgqueue.workers"))

    def serving(self) -> dict[str, int]:
        """How many processes serve each queue."""
        rows = self.conn.execute("SELECT q, count(*) FROM pgqueue.workers, unnest(queues) AS q GROUP BY q").fetchall()
        return dict(rows)

    def running(self, name: str) -> int:
        return int(
            scalar(self.conn, "SELECT count(*) FROM pgqueue.jobs WHERE queue = %s AND claimed_by IS NOT NULL", name)
        )

    def busy(self) -> int:
        return sum(note.startswith("busy") for note in self.hall.effects())

    def let_go(self, name: str) -> None:
        self.conn.execute("INSERT INTO effects (note) VALUES (%s)", [f"leave {name}"])

    def at_once(self) -> int:
        """The most jobs that ran at once."""
        most = now = 0
        for note in self.hall.effects():
            now += {"+": 1, "-": -1}.get(note[0], 0)
            most = max(most, now)
        return most


def enqueue(host: Host, job: Any, count: int) -> list[int]:
    return queue.enqueue_many(host.conn, [job] * count, context=CONTEXT)


def lost_nothing(host: Host) -> None:
    """Every job ended well, was started once, and spent one attempt (one that was not started may be claimed again)."""
    assert set(host.hall.states()) == {"completed"}
    started = [note for note in host.hall.effects() if note.startswith(("+", "busy"))]
    assert all("attempt 1 claim" in note for note in started)
    assert len(started) == len(host.hall.states())
