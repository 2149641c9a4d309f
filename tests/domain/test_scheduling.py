from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import IntegrityError

from domain.models import Post, ScheduledPost, new_id
from domain.use_cases.scheduling import InvalidPost
from pgqueue import Context

if TYPE_CHECKING:
    from tests.domain.world import World

pytestmark = pytest.mark.anyio


async def test_a_post_that_is_due_soon_is_dispatched_for_its_exact_time(world: World) -> None:
    when = datetime.now(UTC) + timedelta(seconds=30)
    post_id = await world.schedule(when=when)
    [job] = await world.rows("SELECT * FROM pgqueue.all_jobs")
    assert (job.kind, job.queue, job.run_at) == ("ProcessScheduledPostJob", "publishing", when)
    assert job.args == {"scheduled_post_id": str(post_id), "schedule_version": 1}
    assert (job.organization_id, job.user_id) == (world.tenant.context.organization_id, world.tenant.context.user_id)
    assert (await world.post(post_id)).status == "dispatched"


async def test_a_post_for_later_waits_without_a_job(world: World) -> None:
    post_id = await world.schedule(when=datetime.now(UTC) + timedelta(minutes=5))
    assert await world.jobs() == []
    assert (await world.post(post_id)).status == "scheduled"
    await world.execute("UPDATE smm.scheduled_posts SET scheduled_at = now() + interval '50 seconds'")
    assert await _dispatch(world, world.stranger.context) == 1
    [job] = await world.rows("SELECT * FROM pgqueue.all_jobs")
    assert (job.organization_id, job.user_id) == (world.tenant.context.organization_id, world.tenant.context.user_id)


async def test_dispatchers_at_once_take_every_post_once(world: World) -> None:
    await world.execute(
        """WITH p AS (INSERT INTO smm.posts (id, organization_id, author_id, body)
                      VALUES (gen_random_uuid(), :organization, :author, 'x') RETURNING id)
           INSERT INTO smm.scheduled_posts (id, organization_id, post_id, social_account_id, created_by, scheduled_at,
                                            publish_key)
           SELECT gen_random_uuid(), :organization, p.id, :account, :author, now(), gen_random_uuid()
           FROM p, generate_series(1, 60)""",
        organization=world.tenant.organization_id,
        author=world.tenant.author_id,
        account=world.tenant.account_id,
    )
    counts = await asyncio.gather(*(_dispatch(world, world.tenant.context) for _ in range(4)))
    assert sum(counts) == 60
    [row] = await world.rows(
        "SELECT count(*) AS n, count(DISTINCT args ->> 'scheduled_post_id') AS d FROM pgqueue.outbox"
    )
    assert (row.n, row.d) == (60, 60)


@pytest.mark.trap("a listener enqueues outside the transaction")
async def test_a_transaction_that_rolls_back_leaves_neither_post_nor_job(world: World) -> None:
    with pytest.raises(RuntimeError):  # noqa: PT012 - the block is the transaction
        async with world.app.units.begin(world.tenant.context) as uow:
            post = Post(organization_id=uow.organization_id, author_id=uow.user_id, body="x")
            uow.session.add(post)
            await uow.session.flush()
            uow.session.add(_row(world, post.id))
            await uow.session.flush()
            assert await world.app.publishing.dispatch_due_posts.within(uow) == 1
            raise RuntimeError
    assert await world.jobs() == []
    assert await world.rows("SELECT FROM smm.scheduled_posts") == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [("  ", "no text"), ("x" * 501, "501 characters"), ("a\x00b", "NUL")],
)
async def test_a_text_that_cannot_be_published_is_refused_at_once(world: World, body: str, complaint: str) -> None:
    with pytest.raises(InvalidPost, match=complaint):
        await world.schedule(body)


async def test_a_time_without_zone_is_refused(world: World) -> None:
    with pytest.raises(InvalidPost, match="zone"):
        await world.schedule(when=datetime(2030, 1, 1))  # noqa: DTZ001 - what is tested


async def test_another_organization_s_account_does_not_exist(world: World) -> None:
    with pytest.raises(InvalidPost, match="does not exist in this organization"):
        await world.app.publishing.schedule_post(
            world.stranger.context, body="x", scheduled_at=datetime.now(UTC), account_ids=[world.tenant.account_id]
        )


async def test_an_account_that_needs_attention_is_refused(world: World) -> None:
    await world.execute("UPDATE smm.social_accounts SET status = 'needs_reauth'")
    with pytest.raises(InvalidPost, match="connect it again"):
        await world.schedule()


async def test_the_database_refuses_a_row_that_joins_two_tenants(world: World) -> None:
    context = Context(str(world.stranger.organization_id), str(world.stranger.author_id))
    with pytest.raises(IntegrityError, match="social_account_id_fkey"):  # noqa: PT012 - the block is the transaction
        async with world.app.units.begin(context) as uow:
            post = Post(organization_id=uow.organization_id, author_id=uow.user_id, body="x")
            uow.session.add(post)
            await uow.session.flush()
            row = _row(world, post.id)
            row.organization_id = world.stranger.organization_id
            uow.session.add(row)


def _row(world: World, post_id: object) -> ScheduledPost:
    return ScheduledPost(
        id=new_id(),
        organization_id=world.tenant.organization_id,
        post_id=post_id,
        social_account_id=world.tenant.account_id,
        created_by=world.tenant.author_id,
        scheduled_at=datetime.now(UTC),
    )


async def _dispatch(world: World, context: Context) -> int:
    async with world.app.units.begin(context) as uow:
        return await world.app.publishing.dispatch_due_posts.within(uow)
