"""Bans and sessions, suspensions and paused posts, and what is marked after a month."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from domain.jobs import InvalidateUserSessionsJob
from domain.models import new_id
from domain.system import SYSTEM_ORGANIZATION, SYSTEM_USER
from domain.use_cases.administration.operators import Forbidden, UnknownSubject
from domain.use_cases.identity.sessions import NotSignedIn, WrongCredentials
from pgqueue import Context
from tests.domain.again import again_from_the_dead
from tests.domain.signing_up import an_operator

if TYPE_CHECKING:
    from uuid import UUID

    from tests.domain.world import World


pytestmark = pytest.mark.anyio


NOBODY = Context(str(SYSTEM_ORGANIZATION), str(SYSTEM_USER))


PASSWORD = "correct horse battery"


async def with_a_password(world: World, user_id: UUID, email: str = "author@aurora.example") -> str:
    """Give a user a password; return the address."""
    hashed = await world.app.identity.sign_in.passwords.hash(PASSWORD)
    await world.execute("UPDATE smm.users SET password_hash = :hashed WHERE id = :id", hashed=hashed, id=user_id)
    return email


async def many_sessions(world: World, user_id: UUID, count: int, epoch: int = 0) -> None:
    await world.execute(
        """INSERT INTO smm.sessions (id, user_id, token_hash, epoch, expires_at)
           SELECT gen_random_uuid(), :id, sha256(convert_to(gen_random_uuid()::text, 'UTF8')), :epoch,
             now() + interval '1 day' FROM generate_series(1, :count)""",
        id=user_id,
        count=count,
        epoch=epoch,
    )


async def audited(world: World, action: str) -> list[dict[str, int]]:
    rows = await world.rows("SELECT detail FROM smm.audit_log WHERE action = :action ORDER BY id", action=action)
    return [row.detail for row in rows]


@pytest.mark.trap("somebody signs in between the ban and its job")
async def test_a_ban_ends_access_with_its_commit_and_not_when_the_job_runs(world: World) -> None:
    operator, author = await an_operator(world), world.tenant.author_id
    email = await with_a_password(world, author)
    before = await world.app.identity.sign_in(NOBODY, email=email, password=PASSWORD)
    assert (await world.app.identity.authenticate(NOBODY, secret=before.secret)).user_id == author
    await world.app.identity.ban_user(operator, author, reason="spam")
    with pytest.raises(NotSignedIn):
        await world.app.identity.authenticate(NOBODY, secret=before.secret)
    with pytest.raises(WrongCredentials):
        await world.app.identity.sign_in(NOBODY, email=email, password=PASSWORD)
    assert (await world.rows("SELECT revoked_at FROM smm.sessions"))[0].revoked_at is None
    await world.work()
    [session] = await world.rows("SELECT revoke_reason FROM smm.sessions")
    assert session.revoke_reason == "banned"
    assert await audited(world, "user.sessions_invalidated") == [{"sessions": 1}]
    assert await world.jobs("InvalidateUserSessionsJob") == [("completed", 1)]


@pytest.mark.trap("somebody signs in between the ban and its job")
async def test_a_ban_while_somebody_signs_in_leaves_no_session_that_is_good(world: World) -> None:
    operator, author = await an_operator(world), world.tenant.author_id
    email = await with_a_password(world, author)
    entered, _ = await asyncio.gather(
        asyncio.gather(
            *(world.app.identity.sign_in(NOBODY, email=email, password=PASSWORD) for _ in range(4)),
            return_exceptions=True,
        ),
        world.app.identity.ban_user(operator, author, reason="spam"),
    )
    for answer in entered:
        assert not isinstance(answer, BaseException) or isinstance(answer, WrongCredentials)
        if not isinstance(answer, BaseException):
            with pytest.raises(NotSignedIn):
                await world.app.identity.authenticate(NOBODY, secret=answer.secret)
    await world.work()
    assert not await world.rows("SELECT FROM smm.sessions WHERE revoked_at IS NULL")


async def test_sessions_are_revoked_in_slices_and_later_ones_are_left_alone(world: World) -> None:
    author = world.tenant.author_id
    await many_sessions(world, author, 2100)
    await many_sessions(world, author, 3, epoch=1)
    async with world.app.units.begin(world.tenant.context) as uow:
        await uow.dispatch(InvalidateUserSessionsJob(target_user_id=author, epoch=1, reason="banned"))
    await world.work()
    assert await world.jobs("InvalidateUserSessionsJob") == [("completed", 1)] * 3
    assert [detail["sessions"] for detail in await audited(world, "user.sessions_invalidated")] == [1000, 1000, 100]
    [left] = await world.rows("SELECT count(*) AS n, min(epoch) AS epoch FROM smm.sessions WHERE revoked_at IS NULL")
    assert (left.n, left.epoch) == (3, 1)


async def test_sessions_and_links_of_a_reinstated_user_survive_a_second_run(world: World) -> None:
    operator, author = await an_operator(world), world.tenant.author_id
    email = await with_a_password(world, author)
    await world.app.identity.sign_in(NOBODY, email=email, password=PASSWORD)
    await world.app.identity.ban_user(operator, author, reason="a mistake")
    await world.work()
    await world.app.identity.reinstate_user(operator, author)
    fresh = await world.app.identity.sign_in(NOBODY, email=email, password=PASSWORD)
    await world.app.identity.request_password_reset(NOBODY, email=email)
    await again_from_the_dead(world, "InvalidateUserSessionsJob")
    assert (await world.app.identity.authenticate(NOBODY, secret=fresh.secret)).user_id == author
    [link] = await world.rows("SELECT revoked_at FROM smm.user_tokens WHERE purpose = 'reset_password'")
    assert link.revoked_at is None
    assert len(await audited(world, "user.sessions_invalidated")) == 1


async def test_signing_out_ends_one_session(world: World) -> None:
    email = await with_a_password(world, world.tenant.author_id)
    first, second = [await world.app.identity.sign_in(NOBODY, email=email, password=PASSWORD) for _ in range(2)]
    await world.app.identity.sign_out(NOBODY, secret=first.secret)
    with pytest.raises(NotSignedIn):
        await world.app.identity.authenticate(NOBODY, secret=first.secret)
    assert await world.app.identity.authenticate(NOBODY, secret=second.secret) is not None
    for nonsense in ("", "\ud800", "x" * 10_000):
        with pytest.raises(NotSignedIn):
            await world.app.identity.authenticate(NOBODY, secret=nonsense)


async def test_only_operators_decide_about_others(world: World) -> None:
    owner = Context(str(world.tenant.organization_id), str(world.tenant.owner_id))
    identity, author = world.app.identity, world.tenant.author_id
    for attempt in (
        identity.ban_user(owner, author, reason="-"),
        identity.reinstate_user(owner, author),
        identity.suspend_organization(owner, world.stranger.organization_id, reason="-"),
        identity.reinstate_organization(owner, world.tenant.organization_id),
    ):
        with pytest.raises(Forbidden):
            await attempt
    operator = await an_operator(world)
    with pytest.raises(UnknownSubject):
        await identity.ban_user(operator, new_id(), reason="-")
    with pytest.raises(UnknownSubject):
        await identity.suspend_organization(operator, new_id(), reason="-")
    with pytest.raises(UnknownSubject):
        await identity.reinstate_user(operator, author)
