"""Mails with links: sent once, never stored, in the reader's language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from domain.use_cases.templates import render
from tests.domain.again import again_from_the_dead, run_again
from tests.domain.signing_up import ANA, NOBODY, PASSWORD, an_active_user, links, sign_up, state

if TYPE_CHECKING:
    from tests.domain.world import World


pytestmark = pytest.mark.anyio


@pytest.mark.trap("a retry makes the first link useless")
async def test_a_retry_sends_the_same_link_under_the_same_message_id(world: World) -> None:
    world.mail.faults.set("drop")  # accepted, but the answer is lost
    await sign_up(world)
    await world.work()
    await world.make_due()
    await world.work()
    first, second = world.mail.state()["messages"]
    assert (first["message_id"], first["text"]) == (second["message_id"], second["text"])
    assert await world.jobs("SendVerificationEmailJob") == [("completed", 2)]


async def test_a_refused_address_is_noted_and_a_busy_server_is_tried_again(world: World) -> None:
    world.mail.faults.set("reject")
    await sign_up(world)
    await world.work()
    [row] = await world.rows("SELECT status, smtp_code FROM smm.email_messages")
    assert (row.status, row.smtp_code) == ("bounced", 550)
    assert await world.jobs("SendVerificationEmailJob") == [("discarded", 1)]
    world.mail.faults.set("error")
    await sign_up(world, email="bia@nova.example")
    await world.work()
    assert await world.jobs("SendVerificationEmailJob") == [("discarded", 1), ("waiting", 1)]


@pytest.mark.parametrize("kind", ["SendVerificationEmailJob", "SendPasswordResetJob"])
async def test_a_mail_that_ran_is_not_sent_by_running_again(world: World, kind: str) -> None:
    await an_active_user(world)
    await world.app.identity.request_password_reset(NOBODY, email=ANA)
    await world.work()
    before = await state(world)
    await run_again(world, kind)
    assert await state(world) == before
    await again_from_the_dead(world, kind)
    assert await state(world) == before


async def test_a_mail_from_the_dead_letters_goes_out_once(world: World) -> None:
    world.mail.service.close()
    await sign_up(world)
    for _ in range(3):
        await world.work()
        await world.make_due()
    await world.work()
    assert await world.jobs("SendVerificationEmailJob") == [("dead", 3)]
    [row] = await world.rows("SELECT status FROM smm.email_messages")
    assert row.status == "pending"
    world.mail.service.open()
    await again_from_the_dead(world, "SendVerificationEmailJob")
    assert len(world.mail.state()["messages"]) == 1


async def test_nobody_is_mailed_after_they_were_shut_out(world: World) -> None:
    user_id = await an_active_user(world)
    await world.app.identity.request_password_reset(NOBODY, email=ANA)
    await world.execute(
        "UPDATE smm.users SET status = 'banned', banned_at = now() WHERE id = CAST(:id AS uuid)", id=user_id
    )
    await world.work()
    assert await world.jobs("SendPasswordResetJob") == [("discarded", 1)]
    assert len(links(world)) == 1


@pytest.mark.trap("a token in a payload, a row or a log")
async def test_no_secret_is_stored_anywhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await an_active_user(world)
    signed_in = await world.app.identity.sign_in(NOBODY, email=ANA, password=PASSWORD)
    world.mail.faults.set("error")
    await world.app.identity.request_password_reset(NOBODY, email=ANA)
    await world.work()
    await world.make_due()
    await world.work()
    secrets = [*links(world), signed_in.secret, PASSWORD]
    assert len(secrets) == 4
    tables = await world.rows(
        """SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables
           WHERE schemaname IN ('smm', 'pgqueue')"""
    )
    for table in tables:
        for secret in secrets:
            found = await world.rows(f"SELECT FROM {table.name} t WHERE strpos(t::text, :secret) > 0", secret=secret)
            assert not found, table.name
    assert not [secret for secret in secrets if secret in caplog.text]
    payloads = await world.rows("SELECT args::text AS args, errors::text AS errors FROM pgqueue.all_jobs")
    assert not [row for row in payloads if "ana@" in f"{row.args}{row.errors}".lower()]


def test_mails_are_in_the_readers_language_and_names_cannot_write_html() -> None:
    portuguese = render("pt-BR", "reset_password", link="https://x/#s", name="<b>Zé</b>")
    english = render("de", "reset_password", link="https://x/#s", name="Zoe")
    assert portuguese.subject == "Redefina a sua senha"
    assert english.subject == "Reset your password"
    assert "&lt;b&gt;Zé&lt;/b&gt;" in portuguese.html
    assert "<b>Zé</b>" in portuguese.text
    assert "https://x/#s" in portuguese.text
    assert 'lang="pt-BR"' in portuguese.html
    assert ">Redefina a sua senha</h1>" in portuguese.html
    assert 'href="https://x/#s"' in portuguese.html
    notice = render("pt-BR", "notice", title="<i>Oi</i>", body="a & b", link=None)
    assert ("&lt;i&gt;Oi&lt;/i&gt;</h1>" in notice.html, "href" in notice.html) == (True, False)
