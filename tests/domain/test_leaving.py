"""A user who wants to be forgotten: thirty days, six steps, nothing personal left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from domain.jobs import ProcessAccountDeletionJob
from domain.models import IllegalTransition
from domain.standins.faults import FOR_EVER
from domain.system import SYSTEM_ORGANIZATION, SYSTEM_USER
from domain.use_cases.administration.erasure import STEPS
from domain.use_cases.administration.leaving import SoleOwner
from domain.use_cases.administration.operators import UnknownSubject
from domain.use_cases.identity.sessions import NotSignedIn
from pgqueue import Context
from tests.domain.again import again_from_the_dead, run_again
from tests.domain.test_administration import PASSWORD, with_a_password

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import Row

    from tests.domain.world import World

pytestmark = pytest.mark.anyio

NOBODY = Context(str(SYSTEM_ORGANIZATION), str(SYSTEM_USER))
KIND = ProcessAccountDeletionJob.kind
OWNER = "owner@aurora.example"


async def alone(world: World) -> Context:
    """Leave the owner alone in the organization, with things to be forgotten; return the owner's context."""
    owner = world.tenant.owner_id
    await world.schedule("olá de Ana")
    await world.work()
    await world.execute("DELETE FROM smm.memberships WHERE user_id = :id", id=world.tenant.author_id)
    await world.execute("UPDATE smm.users SET name = 'Ana Souza' WHERE id = :id", id=owner)
    await with_a_password(world, owner)
    await world.app.identity.sign_in(NOBODY, email=OWNER, password=PASSWORD, ip="192.0.2.9", user_agent="Firefox")
    await world.execute(
        """INSERT INTO smm.media (id, organization_id, uploaded_by, storage_key, filename, declared_type, byte_size)
           VALUES (gen_random_uuid(), :organization, :owner, 'media/1', 'ana.jpg', 'image/jpeg', 3)""",
        organization=world.tenant.organization_id,
        owner=owner,
    )
    return Context(str(world.tenant.organization_id), str(owner))


async def due(world: World) -> None:
    """Let the thirty days pass."""
    await world.execute(
        "UPDATE smm.account_deletions SET requested_at = requested_at - interval '31 days', due_at = now()"
    )
    await world.make_due()
    await world.work()


async def leave(world: World) -> UUID:
    deletion_id = await world.app.identity.request_account_deletion(await alone(world))
    await world.work()
    return deletion_id


async def what_is_left(world: World) -> dict[str, Sequence[Row[tuple[object]]]]:
    queries = {
        "user": "SELECT email, name, status, password_hash FROM smm.users ORDER BY id",
        "organization": "SELECT name, slug, status FROM smm.organizations ORDER BY id",
        "deletion": "SELECT status, steps_done, evidence, finished_at FROM smm.account_deletions",
        "account": "SELECT status, credentials FROM smm.social_accounts ORDER BY id",
        "objects": "SELECT storage_key, reason FROM smm.object_tombstones",
        "audit": "SELECT action FROM smm.audit_log ORDER BY id",
    }
    return {name: await world.rows(query) for name, query in queries.items()}


@pytest.mark.trap("something personal is left in a row, a job or an error")
async def test_after_thirty_days_nothing_personal_is_left(world: World) -> None:
    deletion_id = await leave(world)
    assert await world.jobs(KIND) == [("waiting", 0)]
    await due(world)
    [deletion] = await world.rows("SELECT * FROM smm.account_deletions WHERE id = :id", id=deletion_id)
    assert (deletion.status, deletion.steps_done) == ("done", list(STEPS))
    assert deletion.evidence["sessions"] == 1
    assert deletion.evidence["objects"] == 1
    [user] = await world.rows("SELECT * FROM smm.users WHERE id = :id", id=world.tenant.owner_id)
    assert user.email == f"deleted+{user.id}@invalid.invalid"
    assert (user.status, user.name, user.password_hash) == ("anonymized", "", None)
    account = await world.account()
    assert (account.status, account.credentials) == ("revoked", "")
    assert world.network.state()["revoked"] == ["aurora"]
    [tombstone] = await world.rows("SELECT storage_key FROM smm.object_tombstones")
    assert tombstone.storage_key == "media/1"
    tables = await world.rows(
        """SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables
           WHERE schemaname IN ('smm', 'pgqueue')"""
    )
    for table in tables:
        for personal in (OWNER, "Ana Souza", "192.0.2.9", "Firefox", "ana.jpg"):
            found = await world.rows(f"SELECT FROM {table.name} t WHERE strpos(t::text, :text) > 0", text=personal)
            assert not found, (table.name, personal)


@pytest.mark.trap("the last mail is sent to a wiped address")
async def test_the_last_mail_goes_out_before_the_address_is_wiped(world: World) -> None:
    await leave(world)
    await due(world)
    [message] = world.mail.state()["messages"]
    assert message["to"] == [OWNER]
    assert message["subject"] == "A sua conta será apagada agora"


async def test_somebody_who_only_takes_part_leaves_the_organization_as_it_is(world: World) -> None:
    author = Context(str(world.tenant.organization_id), str(world.tenant.author_id))
    post_id = await world.schedule()
    await world.work()
    await world.app.identity.request_account_deletion(author)
    await world.work()
    await due(world)
    post = await world.post(post_id)
    assert (post.status, post.created_by) == ("published", world.tenant.author_id)
    assert (await world.account()).status == "active"
    [body] = await world.rows("SELECT body FROM smm.posts")
    assert body.body == "olá"
    members = await world.rows(
        "SELECT user_id FROM smm.memberships WHERE organization_id = :id", id=world.tenant.organization_id
    )
    assert [row.user_id for row in members] == [world.tenant.owner_id]


@pytest.mark.trap("a canceled request still runs")
async def test_a_canceled_deletion_does_not_run(world: World) -> None:
    await leave(world)
    hers = Context(str(world.tenant.organization_id), str(world.tenant.owner_id))
    entered = await world.app.identity.sign_in(NOBODY, email=OWNER, password=PASSWORD)
    assert (await world.app.identity.authenticate(NOBODY, secret=entered.secret)).status == "pending_deletion"
    await world.app.identity.cancel_account_deletion(hers)
    await due(world)
    assert await world.jobs(KIND) == [("completed", 1)]
    [user] = await world.rows("SELECT email, status FROM smm.users WHERE id = :id", id=world.tenant.owner_id)
    assert (user.email, user.status) == (OWNER, "active")
    assert (await world.account()).status == "active"
    with pytest.raises(UnknownSubject):
        await world.app.identity.cancel_account_deletion(hers)
    assert await world.app.identity.request_account_deletion(hers) is not None  # and may change their mind again


async def test_asking_for_it_ends_all_sessions(world: World) -> None:
    hers = await alone(world)
    entered = await world.app.identity.sign_in(NOBODY, email=OWNER, password=PASSWORD)
    await world.app.identity.request_account_deletion(hers)
    with pytest.raises(NotSignedIn):
        await world.app.identity.authenticate(NOBODY, secret=entered.secret)
    await world.work()
    rows = await world.rows("SELECT DISTINCT revoke_reason FROM smm.sessions")
    assert [row.revoke_reason for row in rows] == ["deletion_requested"]


async def test_a_deletion_that_has_begun_cannot_be_canceled(world: World) -> None:
    deletion_id = await leave(world)
    await world.execute("UPDATE smm.account_deletions SET status = 'running' WHERE id = :id", id=deletion_id)
    with pytest.raises(IllegalTransition):
        await world.app.identity.cancel_account_deletion(
            Context(str(world.tenant.organization_id), str(world.tenant.owner_id))
        )


async def test_a_job_that_comes_too_early_does_nothing(world: World) -> None:
    await leave(world)
    await world.make_due()
    await world.work()
    assert await world.jobs(KIND) == [("completed", 1)]
    [row] = await world.rows("SELECT status, steps_done FROM smm.account_deletions")
    assert (row.status, row.steps_done) == ("pending", [])


@pytest.mark.trap("half of it is done")
@pytest.mark.parametrize("step", range(1, len(STEPS) + 1))
async def test_a_crash_at_any_step_goes_on_there(world: World, step: int) -> None:
    await leave(world)
    await world.execute(
        f"""CREATE FUNCTION smm.crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              IF cardinality(new.steps_done) = {step} THEN RAISE 'no lights for {OWNER}'; END IF; RETURN new; END $$"""
    )
    await world.execute(
        "CREATE TRIGGER crash BEFORE UPDATE ON smm.account_deletions FOR EACH ROW EXECUTE FUNCTION smm.crash()"
    )
    await due(world)
    [row] = await world.rows("SELECT status, steps_done FROM smm.account_deletions")
    assert row.steps_done == list(STEPS)[: step - 1]
    errors = [row.errors for row in await world.rows("SELECT errors::text AS errors FROM pgqueue.all_jobs")]
    assert "StepFailed" in "".join(errors)
    assert OWNER not in "".join(errors)
    await world.execute("DROP FUNCTION smm.crash() CASCADE")
    await world.make_due()
    await world.work()
    assert await world.jobs(KIND) == [("completed", 2)]
    [row] = await world.rows("SELECT status, steps_done FROM smm.account_deletions")
    assert (row.status, row.steps_done) == ("done", list(STEPS))
    assert len(world.mail.state()["messages"]) == 1
    assert world.network.state()["revoked"] == ["aurora"]


async def test_running_again_forgets_nobody_twice(world: World) -> None:
    await leave(world)
    await due(world)
    before = await what_is_left(world)
    await run_again(world, KIND)
    await again_from_the_dead(world, KIND)
    assert await what_is_left(world) == before
    assert len(world.mail.state()["messages"]) == 1


async def test_a_network_that_is_down_keeps_nobody_from_being_forgotten(world: World) -> None:
    await leave(world)
    world.network.faults.set("error", calls=FOR_EVER)
    await due(world)
    account = await world.account()
    assert (account.status, account.credentials) == ("revoked", "")
    assert await world.jobs(KIND) == [("completed", 1)]


async def test_a_mail_server_that_is_down_is_waited_for_but_not_for_ever(world: World) -> None:
    await leave(world)
    world.mail.service.close()
    await due(world)
    assert await world.jobs(KIND) == [("waiting", 1)]
    [row] = await world.rows("SELECT steps_done FROM smm.account_deletions")
    assert "anonymize" not in row.steps_done
    for _ in range(4):
        await world.make_due()
        await world.work()
    [row] = await world.rows("SELECT status FROM smm.account_deletions")
    assert row.status == "done"
    assert await world.jobs(KIND) == [("completed", 3)]


async def test_the_only_owner_of_others_organization_is_refused(world: World) -> None:
    owner = Context(str(world.tenant.organization_id), str(world.tenant.owner_id))
    with pytest.raises(SoleOwner, match=str(world.tenant.organization_id)):
        await world.app.identity.request_account_deletion(owner)
    assert not await world.rows("SELECT FROM smm.account_deletions")


async def test_a_deletion_that_would_leave_others_without_an_owner_waits_for_a_human(world: World) -> None:
    await leave(world)
    await world.execute(  # somebody joins within the thirty days
        "INSERT INTO smm.memberships (organization_id, user_id, role) VALUES (:organization, :id, 'editor')",
        organization=world.tenant.organization_id,
        id=world.tenant.author_id,
    )
    await due(world)
    assert await world.jobs(KIND) == [("dead", 1)]
    [row] = await world.rows("SELECT status, steps_done, evidence FROM smm.account_deletions")
    assert (row.status, row.steps_done, row.evidence) == ("pending", [], {"stopped": "dead"})
    assert (await world.account()).status == "active"
    await sweep(world)
    assert [state for state, _ in await world.jobs(KIND)] == ["dead", "completed"]  # the sweep leaves it alone
    await world.execute("UPDATE smm.memberships SET role = 'owner' WHERE user_id = :id", id=world.tenant.author_id)
    await again_from_the_dead(world, KIND)
    [row] = await world.rows("SELECT status, evidence FROM smm.account_deletions")
    assert row.status == "done"
    assert "stopped" not in row.evidence
    [organization] = await world.rows(
        "SELECT status, name FROM smm.organizations WHERE id = :id", id=world.tenant.organization_id
    )
    assert (organization.status, organization.name) == ("active", "aurora")


async def sweep(world: World) -> None:
    async with world.app.units.begin(NOBODY) as uow:
        await uow.dispatch(ProcessAccountDeletionJob())
    await world.work()


async def test_the_daily_sweep_finds_what_lost_its_job_and_doubles_nothing(world: World) -> None:
    await leave(world)
    await sweep(world)
    assert [state for state, _ in await world.jobs(KIND)] == ["waiting", "completed"]  # not due: nothing to find
    await world.execute("DELETE FROM pgqueue.jobs")
    await world.execute(
        "UPDATE smm.account_deletions SET requested_at = requested_at - interval '31 days', due_at = now()"
    )
    await sweep(world)
    [row] = await world.rows("SELECT status FROM smm.account_deletions")
    assert row.status == "done"
