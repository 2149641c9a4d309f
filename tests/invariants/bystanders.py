"""The sessions that keep the queue healthy, get in its way, or only look."""

from __future__ import annotations

from typing import Any, cast

from tests.invariants.actors import Actor
from tests.invariants.checker import below_the_marks, over_the_limit
from tests.sql.client import Claimed, column, rescue, statement


def sent(actor: Actor, name: str, **params: object) -> list[tuple[Any, ...]]:
    """Run a statement of the chapters."""
    return actor.conn.execute(cast("Any", statement(name)), params).fetchall()


class MarkRefresher(Actor):
    """Publishes V as the relay does, under the relay's lock, and rolls back as often as not."""

    def act(self) -> None:
        with self.conn.transaction(force_rollback=self.chance.random() < 0.5):
            free = self.conn.execute("SELECT FROM pgqueue.turns WHERE name = 'relay' FOR UPDATE SKIP LOCKED").fetchone()
            if free is not None:
                self.conn.execute("SELECT pgqueue.refresh_marks()")
                self.journal.count("marks refreshed aside")
        self.stage.breathe()


class Rescuer(Actor):
    """Finds lost leases by position, and takes leases away that were still good."""

    def act(self) -> None:
        if self.chance.random() < 0.3:
            self.conn.execute(
                """UPDATE pgqueue.jobs SET lease_until = pgqueue.clock() - interval '1 second' WHERE id IN (
                     SELECT id FROM pgqueue.jobs WHERE claimed_by IS NOT NULL LIMIT 3 FOR NO KEY UPDATE SKIP LOCKED)"""
            )
        for queue, lane, _, head in sent(self, "marks"):
            span = {"queue": queue, "lane": lane, "low": 0, "high": head + 1, "limit": 1000}
            running = sent(self, "running_between", **span)
            seen = [Claimed(job, queue, "K", 0, fence, 0, 0, False, None) for job, fence, _ in running]  # noqa: FBT003 - a row, in its column order
            self.journal.count("rescues", len(rescue(self.conn, seen, backoff=0.01)))
        self.stage.hold(2)


class Requeuer(Actor):
    """Gives dead jobs another life."""

    def act(self) -> None:
        dead = column(self.conn, "SELECT id FROM pgqueue.dead_jobs LIMIT 5")
        risen = sent(self, "requeue", ids=dead, by="somebody", spacing="0s", placed=0, filter="{}")
        self.journal.count("requeued", len(risen))
        self.stage.hold(3)


class Locker(Actor):
    """Somebody's transaction that keeps a ready row locked for long."""

    def act(self) -> None:
        with self.conn.transaction():
            locked = self.conn.execute(
                """SELECT id FROM pgqueue.jobs WHERE position IS NOT NULL AND claimed_by IS NULL
                   ORDER BY position LIMIT 1 FOR UPDATE SKIP LOCKED"""
            ).fetchone()
            if locked:
                self.journal.count("rows locked")
                self.stage.hold(30)


class Sweeper(Actor):
    """The nets below the marks. They may find nothing, and must do no harm while they look."""

    def act(self) -> None:
        with self.conn.transaction(force_rollback=self.chance.random() < 0.2):
            sent(self, "sweep_waiting")
        below = column(self.conn, statement("sweep_ready"))
        self.journal.complain(*(f"the sweep found job {job} below V" for job in below))
        for lane, ids in sent(self, "sweep_outbox"):
            if sent(self, "sweep_move", lane=lane, ids=ids) != [(0,)]:
                self.journal.complain(f"the sweep found some of {ids} below the outbox's mark")
        self.journal.count("sweeps")
        self.stage.hold(1)


class Observer(Actor):
    """Looks all the time whether what must hold does hold."""

    def act(self) -> None:
        self.journal.complain(*below_the_marks(self.conn))
        self.journal.complain(*over_the_limit(self.conn))
        self.journal.count("looks")
        self.journal.count("pins seen", len(column(self.conn, "SELECT job_id FROM pgqueue.pins")))
