"""Organizations that are suspended: their posts wait, and after a month they are marked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from domain.jobs import CleanupSuspendedOrgsJob, PauseOrgScheduledPostsJob
from domain.models import IllegalTransition
from domain.system import SYSTEM_ORGANIZATION, SYSTEM_USER
from pgqueue import Context
from tests.domain.again import again_from_the_dead, run_again
from tests.domain.signing_up import an_operator

if TYPE_CHECKING:
    from uuid import UUID

    from tests.domain.world import World


pytestmark = pytest.mark.anyio


NOBODY = Context(str(SYSTEM_ORGANIZATION), str(SYSTEM_USER))


IN_A_WEEK = timedelta(days=7)


async def audited(world: World, action: str) -> list[dict[str, int]]:
    rows = await world.rows("SELECT detail FROM smm.audit_log WHERE action = :action ORDER BY id", action=action)
    return [row.detail for row in rows]


async def statuses(world: World, organization_id: UUID) -> dict[str, int]:
    rows = await world.rows(
        "SELECT status, count(*) AS n FROM smm.scheduled_posts WHERE organization_id = :id GROUP BY status",
        id=organization_id,
    )
    return {row.status: row.n for row in rows}


async def suspended_for(world: World, days: int, count: int) -> None:
    await world.execute(
        """WITH made AS (
             INSERT INTO smm.organizations (id, name, slug, status, suspended_at, suspension_id)
             SELECT gen_random_uuid(), 'Org ' || n, gen_random_uuid()::text, 'suspended',
               now() - make_interval(days => :days), gen_random_uuid() FROM generate_series(1, :count) AS n
             RETURNING id)
           INSERT INTO smm.memberships (organization_id, user_id, role) SELECT id, :owner, 'owner' FROM made""",
        days=days,
        count=count,
        owner=world.tenant.owner_id,
    )


async def clean_up(world: World) -> None:
    async with world.app.units.begin(NOBODY) as uow:
        await uow.dispatch(CleanupSuspendedOrgsJob())
    await world.work()


@pytest.mark.trap("the end of a suspension publishes the past")
async def test_a_suspension_pauses_one_organization_and_its_end_publishes_nothing_that_has_passed(world: World) -> None:
    operator, tenant = await an_operator(world), world.tenant
    ahead = await world.schedule("daqui a uma semana", when=datetime.now(UTC) + IN_A_WEEK)
    soon = await world.schedule("já na fila", when=datetime.now(UTC) + timedelta(seconds=50))
    theirs = await world.schedule("de outra", when=datetime.now(UTC) + IN_A_WEEK, tenant=world.stranger)
    assert (await world.post(soon)).status == "dispatched"
    await world.app.identity.suspend_organization(operator, tenant.organization_id, reason="fraud")
    await world.work()
    assert [(await world.post(id_)).status for id_ in (ahead, soon, theirs)] == ["paused", "paused", "scheduled"]
    assert (await world.post(soon)).paused_from == "dispatched"
    await world.make_due()  # the job of the post that was in the queue
    await world.work()
    assert world.texts() == []
    await world.execute(
        "UPDATE smm.scheduled_posts SET scheduled_at = now() - interval '1 minute' WHERE id = :id", id=soon
    )
    await world.app.identity.reinstate_organization(operator, tenant.organization_id)
    await world.work()
    assert [(await world.post(id_)).status for id_ in (ahead, soon)] == ["scheduled", "missed"]
    assert world.texts() == []
    assert await audited(world, "posts.paused") == [{"posts": 2}]
    assert await audited(world, "posts.resumed") == [{"posts": 1, "missed": 1}]


@pytest.mark.trap("a suspension races with a publication")
async def test_what_is_being_published_finishes(world: World) -> None:
    operator, tenant = await an_operator(world), world.tenant
    world.network.faults.set("slow", seconds=0.5)
    post_id = await world.schedule()
    working = asyncio.create_task(world.work())
    async with asyncio.timeout(10):
        while (await world.post(post_id)).status != "publishing":
            await world.execute("SELECT pg_sleep(0.01)")
    await world.app.identity.suspend_organization(operator, tenant.organization_id, reason="fraud")
    await working
    await world.work()
    assert (await world.post(post_id)).status == "published"


@pytest.mark.trap("a request fans out")
async def test_posts_are_paused_in_slices(world: World) -> None:
    operator, tenant = await an_operator(world), world.tenant
    first = await world.schedule(when=datetime.now(UTC) + IN_A_WEEK)
    await world.execute(
        """INSERT INTO smm.scheduled_posts (id, organization_id, post_id, social_account_id, created_by, scheduled_at,
             publish_key)
           SELECT gen_random_uuid(), organization_id, post_id, social_account_id, created_by, scheduled_at,
             gen_random_uuid() FROM smm.scheduled_posts, generate_series(1, 1099) WHERE id = :id""",
        id=first,
    )
    await world.app.identity.suspend_organization(operator, tenant.organization_id, reason="fraud")
    await world.work()
    assert await statuses(world, tenant.organization_id) == {"paused": 1100}
    assert await world.jobs("PauseOrgScheduledPostsJob") == [("completed", 1)] * 3
    await world.app.identity.reinstate_organization(operator, tenant.organization_id)
    assert await statuses(world, tenant.organization_id) == {"paused": 1100}  # the request moved none
    await world.work()
    assert await statuses(world, tenant.organization_id) == {"scheduled": 1100}
    assert await world.jobs("PauseOrgScheduledPostsJob") == [("completed", 1)] * 6


async def test_what_is_paused_again_does_not_go_on_for_the_end_of_an_earlier_suspension(world: World) -> None:
    operator, tenant = await an_operator(world), world.tenant
    post_id = await world.schedule(when=datetime.now(UTC) + IN_A_WEEK)
    await world.app.identity.suspend_organization(operator, tenant.organization_id, reason="fraud")
    await world.work()
    await world.app.identity.reinstate_organization(operator, tenant.organization_id)
    await world.app.identity.suspend_organization(operator, tenant.organization_id, reason="fraud again")
    await world.work()
    assert (await world.post(post_id)).status == "paused"


async def test_what_came_due_after_the_end_of_a_suspension_is_not_missed(world: World) -> None:
    operator, tenant = await an_operator(world), world.tenant
    post_id = await world.schedule(when=datetime.now(UTC) + IN_A_WEEK)
    await world.app.identity.suspend_organization(operator, tenant.organization_id, reason="fraud")
    await world.work()
    await world.app.identity.reinstate_organization(operator, tenant.organization_id)
    await world.execute("UPDATE smm.scheduled_posts SET scheduled_at = now()")  # before the job runs
    await world.work()
    assert (await world.post(post_id)).status == "scheduled"


async def test_a_late_job_of_an_earlier_suspension_pauses_nothing(world: World) -> None:
    operator, tenant = await an_operator(world), world.tenant
    await world.schedule(when=datetime.now(UTC) + IN_A_WEEK)
    await world.app.identity.suspend_organization(operator, tenant.organization_id, reason="a mistake")
    await world.app.identity.reinstate_organization(operator, tenant.organization_id)
    await world.work()
    assert await statuses(world, tenant.organization_id) == {"scheduled": 1}
    await world.app.identity.suspend_organization(operator, world.tenant.organization_id, reason="x")
    with pytest.raises(IllegalTransition):
        await world.app.identity.suspend_organization(operator, world.tenant.organization_id, reason="x")


async def test_pausing_again_changes_nothing(world: World) -> None:
    operator, tenant = await an_operator(world), world.tenant
    await world.schedule(when=datetime.now(UTC) + IN_A_WEEK)
    await world.app.identity.suspend_organization(operator, tenant.organization_id, reason="fraud")
    await world.work()
    query = "SELECT id, status, paused_from, schedule_version, updated_at FROM smm.scheduled_posts"
    before = await world.rows(query)
    await run_again(world, PauseOrgScheduledPostsJob.kind)
    await again_from_the_dead(world, PauseOrgScheduledPostsJob.kind)
    assert await world.rows(query) == before
    assert len(await audited(world, "posts.paused")) == 1


async def test_a_month_of_suspension_marks_an_organization_and_tells_its_owners(world: World) -> None:
    await suspended_for(world, 31, 2)
    await suspended_for(world, 29, 1)
    await clean_up(world)
    rows = await world.rows(
        "SELECT status, deletion_due_at > now() + interval '29 days' AS later FROM smm.organizations"
    )
    assert sorted((row.status, row.later) for row in rows if row.status != "active") == [
        ("pending_deletion", True),
        ("pending_deletion", True),
        ("suspended", None),
    ]
    notices = await world.rows("SELECT user_id, title FROM smm.notifications")
    assert [(row.user_id, row.title) for row in notices] == [
        (world.tenant.owner_id, "A sua organização será apagada")
    ] * 2
    await run_again(world, CleanupSuspendedOrgsJob.kind)
    await again_from_the_dead(world, CleanupSuspendedOrgsJob.kind)
    assert len(await world.rows("SELECT FROM smm.notifications")) == 2
    assert len(await audited(world, "organization.marked_for_deletion")) == 2


@pytest.mark.trap("a wrong clock marks or deletes everything")
async def test_no_day_marks_more_than_a_hundred_whatever_the_clock_says(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await suspended_for(world, 31, 130)
    await clean_up(world)
    await clean_up(world)  # the same day again
    marked = "SELECT count(*) AS n FROM smm.organizations WHERE status = 'pending_deletion'"
    assert (await world.rows(marked))[0].n == 100
    assert "organizations.too_many_to_mark" in capsys.readouterr().out
    await world.execute("UPDATE smm.audit_log SET at = at - interval '1 day'")
    await clean_up(world)
    assert (await world.rows(marked))[0].n == 130


@pytest.mark.trap("to mark is to delete")
async def test_an_organization_that_objects_in_time_stays(world: World) -> None:
    operator = await an_operator(world)
    await suspended_for(world, 31, 1)
    await clean_up(world)
    [row] = await world.rows("SELECT id FROM smm.organizations WHERE status = 'pending_deletion'")
    await world.app.identity.reinstate_organization(operator, row.id)
    [row] = await world.rows("SELECT status, deletion_due_at FROM smm.organizations WHERE id = :id", id=row.id)
    assert (row.status, row.deletion_due_at) == ("active", None)
