"""Comments: read once, told once, marked when they are gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from domain.gateways.plaintext import plain
from domain.gateways.reading import CommentPage, Readers, RemoteComment
from domain.jobs import (
    CaptureCommentsJob,
)
from domain.models import Comment
from domain.standins.faults import FOR_EVER
from domain.use_cases.analytics.asking import Source
from domain.use_cases.analytics.comments import CaptureComments
from domain.use_cases.analytics.ladders import COMMENTS, METRICS, next_wait
from tests.domain.measuring import dispatch
from tests.domain.networks import OnNetwork, every, published

if TYPE_CHECKING:
    from domain.models import ScheduledPost
    from tests.domain.world import World


pytestmark = pytest.mark.anyio


async def _comments(world: World) -> list[Comment]:
    async with world.app.units.sessions() as session:
        return list(await session.scalars(select(Comment).order_by(Comment.first_seen_at, Comment.external_id)))


async def _embedding_jobs(world: World) -> int:
    [row] = await world.rows(
        "SELECT count(*) AS n FROM pgqueue.all_jobs"
        " WHERE kind = 'GenerateEmbeddingJob' AND args ->> 'subject_type' = 'comment'"
    )
    return int(row.n)


async def _read_comments(world: World, post: ScheduledPost) -> None:
    """Let the next tick come, and its job run."""
    current = await world.post(post.id)
    await dispatch(world, CaptureCommentsJob(scheduled_post_id=post.id, tick=current.next_comments_at))


async def _read_first(world: World) -> None:
    """Let ten minutes pass since the publication."""
    await world.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock() WHERE kind = 'CaptureCommentsJob'")
    await world.work()


class _Pages:
    """A network that answers in pages, with one comment on each."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.asked: list[str | None] = []

    async def comments(self, _grant: object, _external_id: str, cursor: str | None) -> CommentPage:
        self.asked.append(cursor)
        number = int(cursor or 0)
        comment = RemoteComment(
            str(number), None, "9", "@bia", "x", None, datetime(2026, 11, 2, tzinfo=UTC), edited_at=None
        )
        return CommentPage((comment,), str(number + 1) if number + 1 < self.pages else None)


@pytest.mark.trap("the first reading of an old post tells of 900 comments")
@every
async def test_the_first_reading_is_silent_and_later_ones_tell_of_what_is_new(on: OnNetwork) -> None:
    world, people, post = on.world, on.network.audience, await published(on)
    for number in range(60):  # more than a page, where there are pages
        people.answer(post.external_id or "", "bia", f"{number}\x00")
    await _read_first(world)
    assert {c.body_text for c in await _comments(world)} == {str(number) for number in range(60)}
    assert await _embedding_jobs(world) == 0
    people.answer(post.external_id or "", "caio", "<b>novo</b>")
    people.answer(post.external_id or "", "ana", "obrigada", author_id=(await on.account()).external_id)
    await _read_comments(world, post)
    assert await _embedding_jobs(world) == 1  # our own answer is no news
    assert [c.body_text for c in await _comments(world) if c.is_own] == ["obrigada"]
    # only Mastodon writes HTML: elsewhere a mark is what somebody typed
    novo = "novo" if on.provider == "mastodon" else "<b>novo</b>"
    assert novo in {c.body_text for c in await _comments(world)}
    await _read_comments(world, post)
    await dispatch(world, CaptureCommentsJob(scheduled_post_id=post.id))  # the first one again
    assert await _embedding_jobs(world) == 1
    assert len(await _comments(world)) == 62


@every
async def test_an_answer_that_is_gone_is_marked_and_comes_back(on: OnNetwork) -> None:
    people, post = on.network.audience, await published(on)
    post_id = post.external_id or ""
    gone, kept = people.answer(post_id, "bia", "x"), people.answer(post_id, "caio", "y")
    people.answer(post_id, "davi", "z", parent_id=kept)
    await _read_first(on.world)
    people.take_back(gone)
    await _read_comments(on.world, post)
    found = await _comments(on.world)
    # answers to comments are on other lists of LinkedIn's, which are not read
    below = {} if on.provider == "linkedin" else {"z": True}
    assert {c.body_text: c.removed_at is None for c in found} == {"x": False, "y": True, **below}
    ids = {c.body_text: c.external_id for c in found}
    assert {c.body_text: c.parent_external_id for c in found if c.body_text == "z"} == dict.fromkeys(below, ids["y"])


@pytest.mark.trap("a page that leaves answers out shows that they are gone")
@pytest.mark.parametrize("on", ["bluesky", "instagram"], indirect=True)
async def test_a_page_that_leaves_answers_out_has_not_said_that_they_are_gone(on: OnNetwork) -> None:
    people, post = on.network.audience, (await published(on)).external_id or ""
    last: str | None = people.answer(post, "bia", "x")
    if on.provider == "bluesky":
        for _ in range(20):  # deeper than what is asked for
            last = people.answer(post, "caio", "y", parent_id=last)
    else:
        for _ in range(51):  # more than a page of answers to an answer
            people.answer(post, "caio", "y", parent_id=last)
    asking = _capture(on.world).asking
    async with on.world.app.units.begin(on.world.tenant.context) as uow:
        source = await asking.source(uow, on.account_id)
    assert isinstance(source, Source)
    page = await source.reader.comments(source.grant, post, None)
    assert (page.whole, page.cursor) == (False, None)
    assert len(page.comments) == (20 if on.provider == "bluesky" else 51)


async def test_a_network_that_fails_has_not_said_that_the_answers_are_gone(world: World, post: ScheduledPost) -> None:
    world.network.audience.answer(post.external_id or "", "bia", "x")
    await _read_first(world)
    world.network.remove(post.external_id or "")
    await _read_comments(world, post)
    assert [c.removed_at for c in await _comments(world)] == [None]
    assert (await world.post(post.id)).next_comments_at is None


def _capture(world: World) -> CaptureComments:
    capture = world.app.analytics.capture_comments.one
    assert isinstance(capture, CaptureComments)
    return capture


async def _read_pages(world: World, pages: Any) -> None:
    """Let the first reading read these instead of the network."""
    one = replace(_capture(world), asking=replace(_capture(world).asking, readers=Readers({"mastodon": pages})))
    capture = replace(world.app.analytics.capture_comments, one=one)
    await world.restart(replace(world.app, analytics=replace(world.app.analytics, capture_comments=capture)))
    await _read_first(world)


@pytest.mark.trap("a network that never ends makes jobs for ever")
async def test_a_thread_without_an_end_has_one_for_us(
    world: World, post: ScheduledPost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.use_cases.analytics.comments.MOST_PARTS", 2)
    pages = _Pages(1_000)
    await _read_pages(world, pages)
    assert pages.asked == [None, *map(str, range(1, 10))]
    after = await world.post(post.id)
    assert after.comments_cursor is None
    assert after.next_comments_at is not None


async def test_a_long_thread_is_read_by_jobs_that_follow_each_other(world: World, post: ScheduledPost) -> None:
    pages = _Pages(12)
    await _read_pages(world, pages)
    assert pages.asked == [None, *map(str, range(1, 12))]
    assert len(await _comments(world)) == 12
    after = await world.post(post.id)
    assert after.comments_cursor is None
    assert after.next_comments_at is not None
    assert await _embedding_jobs(world) == 0
    done = await world.rows(
        "SELECT state FROM pgqueue.all_jobs WHERE kind = 'CaptureCommentsJob' AND state = 'completed'"
    )
    assert [row.state for row in done] == ["completed"] * 3


async def test_the_fan_out_of_comments_dispatches_a_tick_once(world: World, post: ScheduledPost) -> None:
    await world.execute("UPDATE smm.scheduled_posts SET next_comments_at = now() - interval '1 minute'")
    for _ in range(2):
        await dispatch(world, CaptureCommentsJob(), system=True)
    found = await world.rows(
        "SELECT state FROM pgqueue.all_jobs WHERE kind = 'CaptureCommentsJob' AND args ->> 'tick' IS NOT NULL"
    )
    assert [row.state for row in found] == ["completed"]
    assert (await world.post(post.id)).next_comments_at is not None


async def test_a_reading_that_died_leaves_the_next_tick_planned(world: World, post: ScheduledPost) -> None:
    world.network.faults.set("error", calls=FOR_EVER)
    tick = datetime.now(UTC) - timedelta(minutes=1)
    await world.execute("UPDATE smm.scheduled_posts SET next_comments_at = :tick", tick=tick)
    await dispatch(world, CaptureCommentsJob(scheduled_post_id=post.id, tick=tick))
    for _ in range(2):
        await world.execute(
            "UPDATE pgqueue.jobs SET run_at = pgqueue.clock() WHERE kind = 'CaptureCommentsJob' AND attempt > 0"
        )
        await world.work()
    assert [state for state, _ in await world.jobs("CaptureCommentsJob")].count("dead") == 1
    after = await world.post(post.id)
    assert after.next_comments_at is not None
    assert after.next_comments_at > tick


@pytest.mark.trap("HTML from strangers")
@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>um</p><p>dois<br>três</p>", "um\ndois\ntrês"),
        ("<script>alert(1)</script>oi", "oi"),
        ("<img src=x onerror=alert(1)>oi", "oi"),
        ("a &lt;b&gt; &amp; c", "a <b> & c"),
        ("<a href='javascript:alert(1)'>@ana</a>", "@ana"),
        ("\x00", ""),
        ("<<p>script>", "script>"),
    ],
)
def test_a_stranger_s_html_becomes_plain_text(markup: str, text: str) -> None:
    assert plain(markup).lstrip("<") == text


@pytest.mark.trap("every post is asked about every hour for ever")
@pytest.mark.parametrize("ladder", [METRICS, COMMENTS])
def test_posts_are_asked_about_less_and_less_and_then_never(ladder: Any) -> None:
    last = timedelta(0)
    for until, wait in ladder:
        found = next_wait(ladder, until - timedelta(seconds=1))
        assert found is not None
        assert wait * 0.9 <= found <= wait * 1.1
        assert found > last
        last = found
    assert next_wait(ladder, ladder[-1][0]) is None
