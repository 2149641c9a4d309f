"""Every query of the triage page is executed, on a queue that has something to show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.cli.rows import dead, enqueue, ready, running, worker

if TYPE_CHECKING:
    from tests.cli.rows import Conn

PAGE = Path(__file__).parents[2] / "docs" / "triage.md"
BLOCKS = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def full(conn: Conn) -> Conn:
    worker(conn)
    running(conn)
    failed = ready(conn)
    conn.execute(
        """UPDATE pgqueue.jobs SET position = NULL, run_at = pgqueue.clock() + interval '1 minute', attempt = 1,
             errors = '[{"attempt": 1, "error": "no answer"}]' WHERE id = %s""",
        [failed],
    )
    parked = ready(conn, "Gone")
    conn.execute("UPDATE pgqueue.jobs SET position = NULL, hold = 'kind:Gone@1' WHERE id = %s", [parked])
    ready(conn)
    enqueue(conn)
    dead(conn)
    again = dead(conn)
    conn.execute(
        "UPDATE pgqueue.dead_jobs SET requeued_at = pgqueue.clock(), requeued_by = 'ann' WHERE id = %s", [again]
    )
    conn.execute("INSERT INTO pgqueue.actions (done_by, verb, target, affected) VALUES ('ann', 'pause', 'queue x', 1)")
    return conn


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0][:40])
def test_a_query_of_the_triage_page_runs_and_shows_something(full: Conn, block: str) -> None:
    rows: list[Any] = full.execute(cast("Any", block)).fetchall()
    assert rows, block


def test_the_page_has_queries_and_they_only_read() -> None:
    assert len(BLOCKS) > 10
    assert all(block.startswith("SELECT") for block in BLOCKS)
