"""What is kept no longer: it goes in short transactions, and nothing else goes with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

import pytest
from sqlalchemy import event, text

from domain.jobs import PurgeExpiredRecordsJob
from domain.jobs.maintenance import Retention
from domain.system import SYSTEM
from domain.use_cases.maintenance.purging import MOST_PARTS, oldest_of
from domain.use_cases.maintenance.retention import POLICIES
from tests.domain import files
from tests.domain.rows import a_tenant

if TYPE_CHECKING:
    from uuid import UUID

    from tests.domain.world import World

pytestmark = pytest.mark.anyio

# policy: table, the column that tells its age, days, what has to hold besides, and whether the row goes
AGES: dict[Retention, tuple[str, str, int, str, str]] = {
    "sessions": ("sessions", "expires_at", 30, "", "true"),
    "user_tokens": ("user_tokens", "expires_at", 7, "", "true"),
    "account_connections": ("account_connections", "expires_at", 7, "", "true"),
    "invitations": ("invitations", "expires_at", 7, "", "true"),
    "idempotency_keys": ("idempotency_keys", "expires_at", 0, "", "true"),
    "webhook_bodies": ("webhook_events", "created_at", 7, "", "body IS NOT NULL"),
    "webhook_events": ("webhook_events", "created_at", 30, "", "true"),
    "stripe_payloads": ("stripe_events", "received_at", 90, ", status = 'processed'", "payload IS NOT NULL"),
    "stripe_events": ("stripe_events", "received_at", 400, "", "true"),
    "reports": ("reports", "expires_at", 30, "", "true"),
    "quarantine": ("media", "scanned_at", 30, ", scan_status = 'infected'", "deleted_at IS NULL"),
    "read_notifications": ("notifications", "read_at", 90, "", "true"),
    "unread_notifications": ("notifications", "created_at", 365, "", "true"),
    "post_metrics_raw": ("post_metrics", "captured_at", 90, ", raw = '{\"a\": 1}'", "raw <> '{}'"),
    "post_metrics": ("post_metrics", "captured_at", 400, "", "true"),
    "account_metrics_raw": ("account_metrics", "captured_at", 90, ", raw = '{\"a\": 1}'", "raw <> '{}'"),
    "account_metrics": ("account_metrics", "captured_at", 400, "", "true"),
    "publish_attempts": ("publish_attempts", "started_at", 180, ", outcome = 'ok'", "true"),
    "email_messages": ("email_messages", "created_at", 90, "", "true"),
    "audit": ("audit_log", "at", 1825, "", "true"),
}


async def _purge(world: World, retention: Retention, part: int = 1) -> None:
    async with world.engine.begin() as conn:
        job = PurgeExpiredRecordsJob(retention=retention, part=part)
        await world.queue.enqueue(conn, job, context=SYSTEM)
    await world.work()


async def _two_tenants(world: World) -> None:
    async with world.app.units.sessions.begin() as session:
        for name in ("maria", "joana"):
            await session.run_sync(a_tenant, name)


async def _count(world: World, table: str, condition: str = "true") -> int:
    [row] = await world.rows(f"SELECT count(*) AS n FROM smm.{table} WHERE {condition}")
    return int(row.n)


async def _sessions(world: World, count: int, *, days: int = 31) -> None:
    await world.execute(
        "INSERT INTO smm.sessions (id, user_id, token_hash, epoch, expires_at)"
        " SELECT gen_random_uuid(), :user, sha256(n::text::bytea), 0, now() - make_interval(days => :days)"
        " FROM generate_series(1, :count) AS n",
        user=world.tenant.owner_id,
        days=days,
        count=count,
    )


def test_every_policy_is_known_and_tested() -> None:
    assert set(get_args(Retention)) == {*POLICIES, "objects"} == {*AGES, "unattached_media", "objects"}


@pytest.mark.trap("a purge walks past what is old and stays")
async def test_a_batch_reads_what_it_takes_and_nothing_that_stays(world: World) -> None:
    walking: dict[str, str] = {}
    async with world.engine.connect() as conn, conn.begin() as never:
        # as if nobody had analysed them: what earlier tests left there must not choose the index
        ours = "(SELECT oid FROM pg_class WHERE relnamespace = 'smm'::regnamespace)"
        await conn.exec_driver_sql(f"UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE oid IN {ours}")
        await conn.exec_driver_sql(f"DELETE FROM pg_statistic WHERE starelid IN {ours}")
        for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):  # the tables are too small for an index
            await conn.exec_driver_sql(f"SET LOCAL {setting} = off")
        await conn.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")  # as after the first few batches
        for retention, policy in POLICIES.items():
            batch = oldest_of(policy, 1_000).compile(conn)
            numbered = str(batch) % {name: f"${number}" for number, name in enumerate(batch.params, 1)}
            await conn.exec_driver_sql(f"PREPARE batch (interval) AS {numbered}")
            explained = await conn.exec_driver_sql("EXPLAIN (COSTS OFF) EXECUTE batch (NULL, NULL)")
            await conn.exec_driver_sql("DEALLOCATE batch")
            plan = "\n".join(explained.scalars())
            # a filter or a sort reads rows that the batch does not take
            if "Index Cond" not in plan or any(word in plan for word in ("Seq Scan", "Sort", "Filter")):
                walking[retention] = plan
        await never.rollback()
    assert walking == {}


@pytest.mark.parametrize("retention", AGES)
async def test_what_is_over_goes_and_what_is_an_hour_younger_stays(world: World, retention: Retention) -> None:
    await _two_tenants(world)
    table, column, days, besides, kept = AGES[retention]
    before = await _count(world, table)
    assert before >= 2
    await world.execute(
        f"UPDATE smm.{table} SET {column} = now() - interval '{days} days' + interval '1 hour'{besides}"
    )
    await world.execute(
        f"UPDATE smm.{table} SET {column} = now() - interval '{days} days 1 hour'"
        f" WHERE ctid = (SELECT min(ctid) FROM smm.{table})"
    )
    for _ in range(2):
        await _purge(world, retention)
        assert await _count(world, table, kept) == before - 1
    assert await world.rows("SELECT 1 FROM pgqueue.dead_jobs") == []


@pytest.mark.trap("one huge DELETE")
async def test_many_rows_go_in_batches_each_committed_by_itself(world: World) -> None:
    await _sessions(world, 2_500)
    taken: list[int] = []

    def note(_conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "DELETE FROM smm.sessions" in statement:
            taken.append(cursor.rowcount)

    event.listen(world.engine.sync_engine, "after_cursor_execute", note)
    commits: list[int] = []
    event.listen(world.engine.sync_engine, "commit", lambda _conn: commits.append(len(taken)))
    await _purge(world, "sessions")
    assert taken == [1_000, 1_000, 500]
    assert {1, 2, 3} <= set(commits)  # each one has its commit before the next one begins
    assert await _count(world, "sessions") == 0


@pytest.mark.trap("one huge DELETE")
async def test_a_row_that_somebody_works_on_is_not_waited_for(world: World) -> None:
    await _sessions(world, 3)
    async with world.engine.connect() as other:
        await other.execute(text("SELECT 1 FROM smm.sessions LIMIT 1 FOR UPDATE"))
        await _purge(world, "sessions")
        assert await _count(world, "sessions") == 1
    await _purge(world, "sessions")
    assert await _count(world, "sessions") == 0


async def test_when_the_time_is_over_a_job_that_follows_goes_on(world: World) -> None:
    purge = replace(world.app.maintenance.purge_expired_records, batch=10, share=0.0)
    await world.restart(replace(world.app, maintenance=replace(world.app.maintenance, purge_expired_records=purge)))
    await _sessions(world, 35)
    await _purge(world, "sessions")
    assert await _count(world, "sessions") == 0
    assert await world.jobs("PurgeExpiredRecordsJob") == [("completed", 1)] * 4


@pytest.mark.trap("a wrong clock marks or deletes everything")
async def test_one_night_has_an_end(world: World) -> None:
    await _sessions(world, 3)
    await _purge(world, "sessions", MOST_PARTS + 1)
    assert await _count(world, "sessions") == 3
    assert await world.jobs("PurgeExpiredRecordsJob") == [("discarded", 1)]


async def _upload(world: World, kind: str) -> UUID:
    media_id = await world.app.media.register_upload(
        world.tenant.context, filename="a", declared_type="", chunks=files.stream(files.an_image(kind))
    )
    await world.work()
    return media_id


async def test_a_file_of_no_post_goes_with_its_objects_and_a_file_of_a_post_stays(world: World) -> None:
    alone, used = await _upload(world, "JPEG"), await _upload(world, "PNG")
    await world.app.publishing.schedule_post(
        world.tenant.context,
        body="olá",
        scheduled_at=datetime.now(UTC) + timedelta(days=1),
        account_ids=[world.tenant.account_id],
        media_ids=[used],
    )
    assert [row.id for row in await world.rows("SELECT id FROM smm.media WHERE attached")] == [used]
    # as another release leaves it, which does not know the column
    await world.execute("UPDATE smm.media SET created_at = now() - interval '8 days', attached = false")
    rows = await world.rows("SELECT storage_key, thumbnail_key FROM smm.media WHERE id = :id", id=alone)
    [keys] = [tuple(row) for row in rows]
    await _purge(world, "unattached_media")
    assert [row.id for row in await world.rows("SELECT id FROM smm.media")] == [used]
    assert await world.app.storage.size(keys[0])  # the row went first
    stones = await world.rows("SELECT storage_key FROM smm.object_tombstones ORDER BY 1")
    assert [row.storage_key for row in stones] == sorted(keys)
    for _ in range(2):
        await _purge(world, "objects")
    assert await _count(world, "object_tombstones") == 0
    for key in keys:
        assert await world.app.storage.put(key, b"free again")


async def test_an_upload_under_way_is_left_alone_and_what_cannot_be_deleted_is_noted(world: World) -> None:
    organization = world.tenant.organization_id
    await world.execute(
        "INSERT INTO smm.object_tombstones (storage_key, organization_id, reason, created_at) VALUES"
        " ('media/now', :org, 'upload', now()), ('media/lost', :org, 'upload', now() - interval '25 hours'),"
        " ('no//key', :org, 'reports', now())",
        org=organization,
    )
    await world.app.storage.put("media/now", b"x")
    await world.app.storage.put("media/lost", b"x")
    await _purge(world, "objects")
    rows = await world.rows("SELECT storage_key, attempts FROM smm.object_tombstones ORDER BY 1")
    assert [tuple(row) for row in rows] == [("media/now", 0), ("no//key", 1)]
    assert await world.app.storage.size("media/now") == 1
    assert await world.app.storage.put("media/lost", b"y")


async def test_an_attempt_of_which_nobody_knows_the_end_is_kept(world: World) -> None:
    await _two_tenants(world)
    await world.execute("UPDATE smm.publish_attempts SET started_at = now() - interval '1 year', outcome = NULL")
    await _purge(world, "publish_attempts")
    assert await _count(world, "publish_attempts") == 2
