"""What a worker checks before its first claim: a schema that does not fit is told, and nothing is left open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pgqueue import Job, JobContext
from pgqueue.errors import SchemaMismatch
from tests.worker.harness import until

if TYPE_CHECKING:
    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio


SERIALIZABLE = """DO $$ BEGIN
  EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database());
END $$"""


class Idle(Job):
    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing."""


@pytest.mark.own_database
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE pgqueue.stamp SET version = 0, least_worker = 0", r"version 0.*pgqueue migrate"),
        ("UPDATE pgqueue.stamp SET version = 99, least_worker = 99", r"newer pgqueue-jobs"),
        ("DELETE FROM pgqueue.stamp", r"pgqueue migrate"),
        ("ALTER SEQUENCE pgqueue.job_ids CACHE 10", r"jobs could be missed.*CACHE 1"),
        (SERIALIZABLE, r"read committed"),
    ],
)
async def test_a_database_that_does_not_fit_is_told(hall: Hall, change: str, words: str) -> None:
    hall.serve(Idle)
    hall.conn.execute(change)
    with pytest.raises(SchemaMismatch, match=words):
        await hall.work_off()
    await until(lambda: not hall.backends("pgqueue %"))


@pytest.mark.own_database
async def test_a_newer_schema_that_serves_older_workers_is_accepted(hall: Hall) -> None:
    hall.serve(Idle)
    hall.conn.execute("UPDATE pgqueue.stamp SET version = 99, least_worker = 1")
    job_id = await hall.run_one(Idle())
    assert hall.state(job_id) == "completed"


async def test_a_handle_that_cannot_be_opened_leaves_nothing_open(hall: Hall) -> None:
    def broken() -> object:
        raise ValueError("no settings")

    hall.serve(Idle, handle=broken)
    with pytest.raises(ValueError, match="no settings"):
        await hall.work_off()
    await until(lambda: not hall.backends("pgqueue %"))
