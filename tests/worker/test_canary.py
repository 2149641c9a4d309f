"""One secret goes in by every door that there is; it comes out of none."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import BaseModel
from sqlalchemy import text

from pgqueue import (
    Alerts,
    Breakers,
    Dead,
    Death,
    Discard,
    Job,
    JobContext,
    JobFailed,
    Outcome,
    Retry,
    RetryIn,
    Settings,
    Snooze,
    Wait,
)
from pgqueue.cli import main
from pgqueue.logs import configure
from pgqueue.metrics import MetricsSubscriber
from pgqueue.testing import work_async
from tests.worker.harness import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from pgqueue import Notice
    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio

CANARY = "c4nary" + "S1ngs9Loud"  # put together, so that no scanner takes it for a real one
URL = f"postgresql://ada:{CANARY}@db.example.org/app"
HEADER = f"Authorization: Bearer {CANARY}Bearer0123456789"


class Login(BaseModel):
    attempts: int
    password: str


class Leak(Job, retry=Retry(1), safe=("way",)):
    """Fails with the secret in its error, in the way that is asked for."""

    way: str

    async def run(self, app: object, ctx: JobContext) -> Outcome | None:
        ctx.log.info("calling", url=URL, headers={"Authorization": CANARY, "X-Api-Key": CANARY}, note=HEADER)
        ctx.log.warning(f"retrying {URL}", error=ValueError(URL), token=CANARY)  # noqa: G004 - as people do
        match self.way:
            case "snooze":
                return Snooze("5s", f"cannot reach {URL}")
            case "retry":
                return RetryIn("60s", f"cannot reach {URL}")
            case "discard":
                return Discard(f"cannot reach {URL}")
            case "dead":
                return Dead(f"cannot reach {URL}")
            case "validation":
                Login.model_validate({"attempts": CANARY, "password": CANARY})
            case "statement":
                async with ctx.transaction() as session:
                    await session.execute(text("INSERT INTO effects (note) VALUES (:token / 0)"), {"token": CANARY})
            case "chain":
                self._chain(URL)
        raise ConnectionError(f"{HEADER} was refused; password={CANARY} and {{'api_key': '{CANARY}'}}")

    def _chain(self, address: str) -> None:
        try:
            raise ConnectionError(f"cannot reach {address}")  # noqa: TRY301 - a chain is wanted
        except ConnectionError as error:
            error.add_note(f"tried with {HEADER}")
            raise RuntimeError(f"token={CANARY} is no use") from error

    async def on_dead(self, app: object, session: AsyncSession, death: Death) -> None:
        raise ValueError(f"on_dead failed for {URL}")


class Hear(JobFailed):
    def run(self, app: object, ctx: JobContext) -> None:
        """It is enough that its arguments are stored."""


WAYS = ("snooze", "retry", "discard", "dead", "validation", "statement", "chain", "plain")


@pytest.fixture(autouse=True)
def _default_logging() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def words_of(hall: Hall, capsys: pytest.CaptureFixture[str]) -> str:
    """Whatever the command line says of every job."""
    dead = [row[0] for row in hall.conn.execute("SELECT id FROM pgqueue.dead_jobs")]
    every = [row[0] for row in hall.conn.execute("SELECT id FROM pgqueue.all_jobs")]
    for command in (
        ["jobs"], ["dead"], ["dead", "list", "--by", "error"], ["dead", "list", "--by", "kind"], ["doctor"], ["queues"],
        *(["jobs", "show", str(job)] for job in every), *(["dead", "show", str(job)] for job in dead),
    ):  # fmt: skip
        for more in ([], ["--json"]):
            main([*command, *more, "--database-url", hall.url])
    return "".join(capsys.readouterr())


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "console"])
async def test_a_secret_comes_out_nowhere(hall: Hall, capsys: pytest.CaptureFixture[str], as_json: bool) -> None:  # noqa: FBT001 - a parameter
    hall.serve(Leak, listeners=[Hear])
    out, registry = io.StringIO(), CollectorRegistry()
    logs = configure("debug", stream=out, json=as_json)
    for way in WAYS:
        hall.enqueue(Leak(way=way))
    planted = {"way": URL, "password": CANARY, "nested": [{"apiKey": CANARY, "note": HEADER}]}
    hall.conn.execute("SELECT pgqueue.enqueue('Leak', %s, 'acme', 'ann')", [json.dumps(planted)])
    await work_async(hall.app, hall.url, subscribers=[logs, MetricsSubscriber(registry)])
    if logs.writer:
        logs.writer.flush()
    assert {"waiting", "discarded", "dead", "completed"} == set(hall.states())
    assert hall.conn.execute("SELECT count(*) FROM pgqueue.all_jobs WHERE kind = 'Hear'").fetchone() == (7,)

    said = words_of(hall, capsys)
    assert said.count("***") > 20
    for place, words in {
        "logs": out.getvalue(),
        "commands": said,
        "metrics": generate_latest(registry).decode(),
    }.items():
        assert CANARY not in words, f"in the {place}: …{words[max(0, words.find(CANARY) - 300) :][:400]}…"
    for table in ("jobs", "finished_jobs", "dead_jobs"):
        found = hall.conn.execute(
            f"SELECT t::text FROM pgqueue.{table} t WHERE strpos(t::text, %s) > 0 AND NOT args ? 'password'", [CANARY]
        ).fetchall()
        assert not found, table
    kept = hall.conn.execute("SELECT errors::text || coalesce(error, '') FROM pgqueue.dead_jobs").fetchall()
    assert not [row for row in kept if CANARY in row[0]]


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "console"])
async def test_what_watches_and_recurs_tells_no_secret(
    hall: Hall,
    capsys: pytest.CaptureFixture[str],
    as_json: bool,  # noqa: FBT001 - a parameter
) -> None:
    told: list[Notice] = []
    out = io.StringIO()

    def page(notice: Notice) -> None:
        told.append(notice)
        raise ConnectionError(f"cannot reach {URL}")

    soon = Wait(above="1ms", below="1ms", samples=1)
    hall.serve(Leak, alerts=Alerts(every="100ms", hooks=[page], open_breaker=soon))
    logs = configure("debug", stream=out, json=as_json)
    breakers = Breakers(Settings(environment={}, database_url=hall.url), fail_max=1)
    with pytest.raises(ConnectionError), breakers.calling("partner", URL):
        raise ConnectionError(f"{HEADER} was refused by {URL}")
    log = structlog.get_logger("pgqueue")
    log.warning("schedule.unreadable", schedule="nightly", error=f"no zone in {URL}")
    log.error("child.unable", error=f"the application did not start: {HEADER}")
    undelivered = "SELECT 1 FROM pgqueue.alert_messages WHERE error IS NOT NULL"
    async with hall.working():
        await until(lambda: hall.conn.execute(undelivered).fetchone())
    breakers.close()
    if logs.writer:
        logs.writer.flush()
    for command in (["alerts"], ["breakers"], ["actions"], ["schedules"], ["sources"]):
        for more in ([], ["--json"]):
            main([*command, *more, "--database-url", hall.url])
    said = "".join(capsys.readouterr())
    kept = hall.conn.execute(
        "SELECT a::text FROM pgqueue.alerts a UNION ALL SELECT m::text FROM pgqueue.alert_messages m "
        "UNION ALL SELECT last_error FROM pgqueue.breakers"
    ).fetchall()
    for place, words in {"commands": said, "logs": out.getvalue(), "notices": repr(told), "tables": repr(kept)}.items():
        assert "***" in words, place
        assert CANARY not in words, f"in the {place}: {words}"


async def test_a_text_stays_readable(hall: Hall) -> None:
    hall.serve(Leak)
    job = await hall.run_one(Leak(way="chain"))
    assert hall.dead(job, "error") == "token=*** is no use"
    trace = hall.dead(job, "errors -> 0 ->> 'trace'")
    assert "ConnectionError: cannot reach postgresql://ada:***@db.example.org/app" in trace
    assert "tried with Authorization: ***" in trace


async def test_what_a_job_logs_cannot_steer_the_terminal(hall: Hall) -> None:
    class Rude(Job):
        async def run(self, app: object, ctx: JobContext) -> None:
            ctx.log.info("\x1b]0;owned\x07 2024-01-01 [error] forged\nsecond line", name="\x1b[31m")

    out = io.StringIO()
    hall.serve(Rude)
    configure(stream=out, json=False)
    await hall.run_one(Rude())
    assert "\x1b" not in out.getvalue()
    assert r"\x1b]0;owned\x07" in out.getvalue()
    assert not [line for line in out.getvalue().splitlines() if line.startswith("second line")]
