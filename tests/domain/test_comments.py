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
from domain.use_cases.analytics.comments import CaptureComments
from domain.use_cases.analytics.ladders import COMMENTS, METRICS, next_wait
from tests.domain.measuring import dispatch

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
async def test_the_first_reading_is_silent_and_later_ones_tell_of_what_is_new(
    world: World, post: ScheduledPost
) -> None:
    people = world.network.audience
    for number in range(30):
        people.answer(post.external_id or "", "bia", f"<p>{number}</p>")
    await _read_first(world)
    assert len(await _comments(world)) == 30
    assert await _embedding_jobs(world) == 0
    people.answer(post.external_id or "", "caio", "<p>novo</p>")
    people.answer(post.external_id or "", "aurora", "<p>obrigada</p>", author_id=(await world.account()).external_id)
    await _read_comments(world, post)
    assert await _embedding_jobs(world) == 1  # our own answer is no news
    assert [c.body_text for c in await _comments(world) if c.is_own] == ["obrigada"]
    await _read_comments(world, post)
    await dispatch(world, CaptureCommentsJob(scheduled_post_id=post.id))  # the first one again
    assert await _embedding_jobs(world) == 1


async def test_an_answer_that_is_gone_is_marked_and_comes_back(world: World, post: ScheduledPost) -> None:
    people = world.network.audience
    gone = people.answer(post.external_id or "", "bia", "x")
    people.answer(post.external_id or "", "caio", "y")
    await _read_first(world)
    people.take_back(gone)
    await _read_comments(world, post)
    assert {c.external_id: c.removed_at is None for c in await _comments(world)} == {"a1": False, "a2": True}


async def test_a_network_that_fails_has_not_said_that_the_answers_are_gone(world: World, post: ScheduledPost) -> None:
    world.network.audience.answer(post.external_id or "", "bia", "x")
    await _read_first(world)
    world.network.remove(post.external_id or "")
    await _read_comments(world, post)
    assert [c.removed_at for c in await _comments(world)] == [None]
    assert (await world.post(post.id)).next_comments_at is None


async def test_a_long_thread_is_read_by_jobs_that_follow_each_other(world: World, post: ScheduledPost) -> None:
    pages = _Pages(12)
    reading: Any = pages
    readers = Readers({"mastodon": reading})
    capture = world.app.analytics.capture_comments
    assert isinstance(capture.one, CaptureComments)
    capture = replace(capture, one=replace(capture.one, asking=replace(capture.one.asking, readers=readers)))
    handle = replace(world.app, analytics=replace(world.app.analytics, capture_comments=capture))
    await world.restart(handle)
    await _read_first(world)
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
