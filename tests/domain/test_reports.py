"""Reports: the same bytes each time, no formula, no secret, nothing left half done."""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from domain.gateways.documents import Page, csv_line, pdf
from domain.jobs import GenerateReportJob
from domain.models import PostMetrics, Report
from domain.use_cases.integration.reports import InvalidReport, NoSuchReport, ReportRunning

if TYPE_CHECKING:
    from uuid import UUID

    from tests.domain.world import World

KIND = "GenerateReportJob"
NASTY = '=HYPERLINK("http://evil.example";"click") #panic() *x* $y$ #read("/etc/passwd") — Привет, €'


async def a_post(world: World, body: str = NASTY, likes: int = 3) -> UUID:
    post_id = await world.schedule(body)
    await world.work()
    now = datetime.now(UTC)
    async with world.app.units.sessions.begin() as session:
        session.add(
            PostMetrics(
                organization_id=world.tenant.organization_id,
                scheduled_post_id=post_id,
                bucket=now,
                captured_at=now,
                likes=likes,
            )
        )
    return post_id


async def ask(world: World, file_format: Literal["csv", "pdf"] = "csv", kind: str = "engagement") -> UUID:
    today = datetime.now(UTC).date()
    return await world.app.integration.request_report(
        world.tenant.context,
        kind,
        file_format=file_format,
        period_start=today - timedelta(days=1),
        period_end=today,
    )


async def report(world: World, report_id: UUID) -> Report:
    async with world.app.units.sessions() as session:
        return await session.get_one(Report, report_id)


async def stored(world: World, report_id: UUID) -> bytes:
    key = (await report(world, report_id)).storage_key
    assert key is not None
    return b"".join([chunk async for chunk in world.app.storage.read(key)])


def lines(content: bytes) -> list[list[str]]:
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


@pytest.mark.trap("a formula in a CSV")
@pytest.mark.anyio
async def test_a_csv_has_the_numbers_a_mark_for_its_encoding_and_no_formula(world: World) -> None:
    await a_post(world)
    report_id = await ask(world)
    await world.work()
    row = await report(world, report_id)
    content = await stored(world, report_id)
    assert (row.status, row.row_count, row.byte_size) == ("ready", 1, len(content))
    assert row.sha256 == hashlib.sha256(content).digest()
    header, line = lines(content)
    assert header[0] == "published_at"
    assert line[2:4] == ["'@aurora", "'" + NASTY]
    assert line[5:] == ["", "3", "", ""]  # not told is not zero
    [notice] = await world.rows("SELECT kind, link FROM smm.notifications WHERE kind = 'report_ready'")
    assert notice.link == f"/reports/{report_id}"


@pytest.mark.trap("two runs of a report differ")
@pytest.mark.anyio
@pytest.mark.parametrize("file_format", ["csv", "pdf"])
async def test_made_again_a_report_is_the_same_to_the_byte(world: World, file_format: Literal["csv", "pdf"]) -> None:
    await a_post(world)
    report_id = await ask(world, file_format)
    await world.work()
    first, content = await report(world, report_id), await stored(world, report_id)
    # what came later is not in it: the report is of the moment when it was asked for
    await a_post(world, "later")
    await world.execute("UPDATE smm.reports SET status = 'requested', storage_key = NULL")
    await world.app.storage.delete(first.storage_key or "")
    await world.run(GenerateReportJob(report_id=report_id))
    assert await stored(world, report_id) == content
    assert (await report(world, report_id)).sha256 == first.sha256


@pytest.mark.anyio
async def test_a_run_that_was_cut_off_after_storing_is_finished(world: World) -> None:
    await a_post(world)
    report_id = await ask(world)
    await world.work()
    first = await report(world, report_id)
    await world.execute("UPDATE smm.reports SET status = 'requested', storage_key = NULL")
    await world.run(GenerateReportJob(report_id=report_id))
    second = await report(world, report_id)
    assert (second.status, second.sha256, second.storage_key) == ("ready", first.sha256, first.storage_key)


@pytest.mark.anyio
async def test_running_a_report_twice_is_running_it_once(world: World) -> None:
    report_id = await ask(world, kind="audience")
    await world.work()
    before = await world.rows("SELECT * FROM smm.reports")
    await world.run(GenerateReportJob(report_id=report_id))
    assert await world.rows("SELECT * FROM smm.reports") == before
    assert await world.jobs(KIND) == [("completed", 1)] * 2
    assert len(await world.rows("SELECT FROM smm.notifications")) == 1


@pytest.mark.anyio
async def test_a_dead_report_has_failed_and_a_requeued_one_is_made(world: World) -> None:
    await world.execute("ALTER TABLE smm.post_metrics RENAME TO elsewhere")
    report_id = await ask(world)
    await world.exhaust()
    assert await world.jobs(KIND) == [("dead", 3)]
    assert (await report(world, report_id)).status == "failed"
    await world.execute("ALTER TABLE smm.elsewhere RENAME TO post_metrics")
    await world.requeue(KIND)
    assert (await report(world, report_id)).status == "ready"


@pytest.mark.trap("a huge report in memory")
@pytest.mark.anyio
@pytest.mark.parametrize("file_format", ["csv", "pdf"])
async def test_a_long_report_is_read_in_parts(world: World, file_format: Literal["csv", "pdf"]) -> None:
    """A PDF shows the first rows and says how many there are."""
    await world.execute(
        """INSERT INTO smm.account_metrics (social_account_id, organization_id, day, captured_at, followers)
           SELECT :account, :organization, current_date - n, now(), n FROM generate_series(0, 2099) AS n""",
        account=world.tenant.account_id,
        organization=world.tenant.organization_id,
    )
    report_id = await ask(world, file_format, kind="audience")
    await world.execute("UPDATE smm.reports SET period_start = current_date - 3000")
    await world.work()
    row = await report(world, report_id)
    assert (row.status, row.row_count) == ("ready", 2_100)
    if file_format == "csv":
        assert len(lines(await stored(world, report_id))) == 2_101


@pytest.mark.anyio
async def test_one_report_of_a_kind_is_made_at_a_time(world: World) -> None:
    await ask(world)
    with pytest.raises(ReportRunning):
        await ask(world)
    await ask(world, kind="audience")
    await world.work()
    await ask(world)


@pytest.mark.anyio
async def test_a_report_that_means_nothing_is_refused(world: World) -> None:
    today = datetime.now(UTC).date()
    request, context = world.app.integration.request_report, world.tenant.context
    for kind, start, end in (
        ("nonsense", today, today),
        ("engagement", today, today - timedelta(days=1)),
        ("engagement", today - timedelta(days=400), today),
    ):
        with pytest.raises(InvalidReport):
            await request(context, kind, file_format="csv", period_start=start, period_end=end)


@pytest.mark.anyio
async def test_a_link_opens_the_report_for_a_while_and_nothing_of_a_stranger(world: World) -> None:
    report_id = await ask(world)
    with pytest.raises(NoSuchReport):
        await world.app.integration.report_link(world.tenant.context, report_id)
    await world.work()
    link = urlsplit(await world.app.integration.report_link(world.tenant.context, report_id))
    assert unquote(link.path) == f"/files/{(await report(world, report_id)).storage_key}"
    assert set(parse_qs(link.query)) == {"expires", "signature"}
    with pytest.raises(NoSuchReport):
        await world.app.integration.report_link(world.stranger.context, report_id)
    await world.run(GenerateReportJob(report_id=report_id), world.stranger.context)
    assert [state for state, _ in await world.jobs(KIND)] == ["completed", "discarded"]
    await world.execute("UPDATE smm.reports SET expires_at = now()")
    with pytest.raises(NoSuchReport, match="expired"):
        await world.app.integration.report_link(world.tenant.context, report_id)


@pytest.mark.trap("a formula in a CSV")
@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_text_that_a_spreadsheet_would_run_is_only_text(first: str) -> None:
    [row] = csv.reader(io.StringIO(csv_line([first + "1+1", -5, None]).decode(), newline=""))
    assert row == ["'" + first + "1+1", "-5", ""]


@pytest.mark.anyio
async def test_a_pdf_shows_what_looks_like_markup_and_does_not_depend_on_when_it_is_made() -> None:
    page = Page("Title", "sub", ("text", "n"), (False, True), [(NASTY, 1), ('#include "x"', None)] * 40, "80")
    first, second = await pdf(page), await pdf(page)
    assert first == second
    assert first.startswith(b"%PDF-")
