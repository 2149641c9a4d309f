"""The pages for the team: their tables are the application's, their queries run and show something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from domain.app import app
from domain.settings import DomainSettings
from domain.standins.faults import FOR_EVER
from tests.docs.pages import ROOT, table_cells
from tests.domain.again import BURY
from tests.domain.endpoints import an_endpoint

if TYPE_CHECKING:
    from tests.domain.world import World

JOBS = "docs/pt-BR/jobs.md"
OPERATION = "docs/pt-BR/operacao.md"
QUERIES = re.findall(r"^```sql\n(.*?)^```$", (ROOT / OPERATION).read_text("utf-8"), re.MULTILINE | re.DOTALL)
STRATEGIES = {"estado": "state check", "lock": "lock", "chave": "key", "transação": "transaction"}


def test_the_table_of_jobs_is_what_the_command_prints() -> None:
    lines = (ROOT / JOBS).read_text("utf-8").splitlines()
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines if re.match(r"\| `\w+Job`", line)]
    assert sorted(row[:6] for row in rows) == sorted(
        [
            kind["kind"],
            kind["queue"],
            f"{kind['timeout_seconds']:.0f}",
            str(kind["max_attempts"]),
            ", ".join(f"{wait:.0f}" for wait in kind["backoff_seconds"]),
            next(name for name, strategy in STRATEGIES.items() if strategy == kind["idempotency"]),
        ]
        for kind in app.describe()
    )
    assert all(row[6] for row in rows)


def test_variables_metrics_and_events_of_the_page_exist() -> None:
    named = table_cells(OPERATION, 1)
    variables = {name.removeprefix("SMM_").lower() for name in named if name.startswith("SMM_")}
    assert variables
    assert variables <= set(DomainSettings.model_fields)
    documented = table_cells("docs/operations.md", 1)
    assert {name for name in named if re.fullmatch(r"job[s_.][a-z_]+", name)} <= documented


@pytest.mark.anyio
async def test_every_query_of_the_page_shows_something(world: World) -> None:
    assert len(QUERIES) > 6
    world.network.faults.set("reject", calls=FOR_EVER)
    await an_endpoint(world)
    await world.schedule("refused")
    await world.work()
    await world.execute(BURY, kind="NotifyPublishResultJob")
    await world.schedule("on its way")
    for query in QUERIES:
        assert query.startswith("SELECT")
        assert await world.rows(query), query
