"""RegisterUser, VerifyEmail, ChangeEmail, RequestPasswordReset, ResetPassword and the two mails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from domain.system import SYSTEM_ORGANIZATION
from domain.use_cases.identity.addresses import InvalidAddress
from domain.use_cases.identity.links import InvalidLink, TooManyRequests
from domain.use_cases.identity.passwords import InvalidPassword
from domain.use_cases.identity.sessions import WrongCredentials
from pgqueue import Context
from tests.domain.signing_up import ANA, NOBODY, PASSWORD, an_active_user, links, sign_up

if TYPE_CHECKING:
    from tests.domain.world import World


pytestmark = pytest.mark.anyio


async def test_an_address_is_verified_by_the_link_that_was_mailed_to_it(world: World) -> None:
    user_id = await an_active_user(world)
    [user] = await world.rows("SELECT * FROM smm.users WHERE id = CAST(:id AS uuid)", id=user_id)
    assert (user.email, user.status, user.name) == ("ana@nova.example", "active", "Ana")
    assert user.email_verified_at is not None
    again = await world.app.identity.verify_email(NOBODY, secret=links(world)[-1])  # a second click
    assert str(again) == user_id
    actions = [row.action for row in await world.rows("SELECT action FROM smm.audit_log ORDER BY id")]
    assert actions == ["user.registered", "user.email_verified"]


async def test_a_link_is_good_for_its_purpose_only_and_forged_ones_are_not_good(world: World) -> None:
    await an_active_user(world)
    secret = links(world)[-1]
    forged = secret[:-2] + ("A=" if secret[-2:] != "A=" else "B=")
    for wrong in (forged, secret[:30], "", "ü", secret[::-1]):
        with pytest.raises(InvalidLink):
            await world.app.identity.verify_email(NOBODY, secret=wrong)
    with pytest.raises(InvalidLink):
        await world.app.identity.reset_password(NOBODY, secret=secret, password=PASSWORD)


async def test_who_signs_up_last_has_the_only_good_link_and_its_password(world: World) -> None:
    await sign_up(world, password="somebody else's plan")
    await world.work()
    await sign_up(world)
    await world.work()
    first, second = links(world)
    with pytest.raises(InvalidLink):
        await world.app.identity.verify_email(NOBODY, secret=first)
    await world.app.identity.verify_email(NOBODY, secret=second)
    with pytest.raises(WrongCredentials):
        await world.app.identity.sign_in(NOBODY, email=ANA, password="somebody else's plan")
    await world.app.identity.sign_in(NOBODY, email=ANA, password=PASSWORD)


async def test_signing_up_with_a_known_address_changes_nothing_and_mails_nothing(world: World) -> None:
    await an_active_user(world)
    before = await world.rows("SELECT * FROM smm.users ORDER BY id")
    await sign_up(world, password="somebody else's plan")
    await world.work()
    assert await world.rows("SELECT * FROM smm.users ORDER BY id") == before
    assert len(world.mail.state()["messages"]) == 1
    assert await world.jobs("SendVerificationEmailJob") == [("completed", 1), ("discarded", 1)]


@pytest.mark.trap('"no such user" is told by the answer or its time')
async def test_a_reset_is_asked_for_alike_with_known_and_unknown_addresses(world: World) -> None:
    await an_active_user(world)
    for email in (ANA, "nobody@nova.example"):
        said = await world.app.identity.request_password_reset(NOBODY, email=email, ip="192.0.2.7")  # type: ignore[func-returns-value]  # that it says nothing is the point
        assert said is None
    rows = await world.rows(
        """SELECT user_id IS NOT NULL AS known, expires_at - created_at AS ttl, requested_ip FROM smm.user_tokens
           WHERE purpose = 'reset_password' ORDER BY id"""
    )
    assert [row.known for row in rows] == [True, False]
    assert rows[0].requested_ip == rows[1].requested_ip
    await world.work()
    assert await world.jobs("SendPasswordResetJob") == [("completed", 1), ("discarded", 1)]
    assert [m["to"] for m in world.mail.state()["messages"]] == [["ana@nova.example"]] * 2  # verification and reset


@pytest.mark.trap('"no such user" is told by the answer or its time')
async def test_known_and_unknown_addresses_take_the_same_statements(world: World) -> None:
    from sqlalchemy import event

    await an_active_user(world)
    await world.stop()  # the worker would say its own statements in between
    said: list[str] = []
    event.listen(world.engine.sync_engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    spoken = []
    for email in (ANA, "nobody@nova.example"):
        said.clear()
        await world.app.identity.request_password_reset(NOBODY, email=email, ip="192.0.2.7")
        spoken.append(list(said))
    assert spoken[0] == spoken[1]


async def test_a_new_password_ends_every_session_and_every_link(world: World) -> None:
    await an_active_user(world)
    signed_in = await world.app.identity.sign_in(NOBODY, email=ANA, password=PASSWORD)
    await world.app.identity.request_password_reset(NOBODY, email=ANA)
    await world.work()
    secret = links(world)[-1]
    await world.app.identity.reset_password(NOBODY, secret=secret, password="another long one")
    with pytest.raises(Exception, match="sign in first"):
        await world.app.identity.authenticate(NOBODY, secret=signed_in.secret)
    with pytest.raises(InvalidLink):
        await world.app.identity.reset_password(NOBODY, secret=secret, password="a third long one")
    await world.work()
    [session] = await world.rows("SELECT revoke_reason FROM smm.sessions")
    assert session.revoke_reason == "password_changed"
    with pytest.raises(WrongCredentials):
        await world.app.identity.sign_in(NOBODY, email=ANA, password=PASSWORD)
    await world.app.identity.sign_in(NOBODY, email=ANA, password="another long one")


async def test_a_newer_link_takes_the_place_of_the_older_one(world: World) -> None:
    await an_active_user(world)
    for _ in range(2):
        await world.app.identity.request_password_reset(NOBODY, email=ANA)
    await world.work()
    assert await world.jobs("SendPasswordResetJob") == [("discarded", 1), ("completed", 1)]
    assert len(links(world)) == 2


async def test_a_link_dies_of_age(world: World) -> None:
    await sign_up(world)
    await world.work()
    await world.execute("UPDATE smm.user_tokens SET expires_at = clock_timestamp()")
    with pytest.raises(InvalidLink):
        await world.app.identity.verify_email(NOBODY, secret=links(world)[0])


async def test_an_address_may_ask_three_times_an_hour_known_or_not(world: World) -> None:
    await an_active_user(world)  # has asked once
    await world.execute("UPDATE smm.user_tokens SET created_at = created_at - interval '2 hours'")
    for email in (ANA, "nobody@nova.example"):
        for _ in range(3):
            await world.app.identity.request_password_reset(NOBODY, email=email)
        with pytest.raises(TooManyRequests):
            await world.app.identity.request_password_reset(NOBODY, email=email)
    await world.execute("UPDATE smm.user_tokens SET created_at = created_at - interval '2 hours'")
    await world.app.identity.request_password_reset(NOBODY, email=ANA)


async def test_many_at_once_from_one_place_get_no_more_than_ten(world: World) -> None:
    asked = [
        world.app.identity.request_password_reset(NOBODY, email=f"{number}@nova.example", ip="2001:db8::1")
        for number in range(14)
    ]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, TooManyRequests) for answer in answers) == 4
    [row] = await world.rows("SELECT count(*) AS n FROM smm.user_tokens")
    assert row.n == 10


async def test_a_changed_address_counts_when_it_is_verified(world: World) -> None:
    user_id = await an_active_user(world)
    hers = Context(str(SYSTEM_ORGANIZATION), user_id)
    with pytest.raises(WrongCredentials):
        await world.app.identity.change_email(hers, email="ana@casa.example", password="wrong wrong wrong")
    await world.app.identity.change_email(hers, email="ana@casa.example", password=PASSWORD)
    await world.work()
    await world.app.identity.sign_in(NOBODY, email=ANA, password=PASSWORD)
    await world.app.identity.verify_email(NOBODY, secret=links(world, "ana@casa.example")[0])
    with pytest.raises(WrongCredentials):
        await world.app.identity.sign_in(NOBODY, email=ANA, password=PASSWORD)
    await world.app.identity.sign_in(NOBODY, email="ana@casa.example", password=PASSWORD)


async def test_an_address_that_became_somebody_elses_is_not_taken_from_them(world: World) -> None:
    user_id = await an_active_user(world)
    hers = Context(str(SYSTEM_ORGANIZATION), user_id)
    await world.app.identity.change_email(hers, email="owner@aurora.example", password=PASSWORD)
    await world.work()
    with pytest.raises(InvalidLink):
        await world.app.identity.verify_email(NOBODY, secret=links(world, "owner@aurora.example")[0])


@pytest.mark.parametrize("email", ["", "ana", "ana@", "@nova.example", "a b@c.example", "a@b", "a@b.c\nBcc: x@y.z"])
async def test_what_is_no_address_is_refused(world: World, email: str) -> None:
    with pytest.raises(InvalidAddress, match=r"ana@example\.com"):
        await world.app.identity.request_password_reset(NOBODY, email=email)


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaa", "x" * 201])
async def test_a_password_that_is_no_good_is_refused(world: World, password: str) -> None:
    with pytest.raises(InvalidPassword):
        await sign_up(world, password=password)
