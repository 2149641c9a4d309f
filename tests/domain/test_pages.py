"""Pages about the application: their tables are the application's, their queries run and show something."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.app import app
from domain.gateways.bluesky import Bluesky
from domain.gateways.instagram import Instagram
from domain.gateways.linkedin import LinkedIn
from domain.gateways.mastodon import Mastodon
from domain.models import RIGHTS, Right
from domain.schedules import SCHEDULES
from domain.settings import DomainSettings
from domain.standins.faults import FOR_EVER
from tests.docs.pages import ROOT, table_cells
from tests.domain.again import BURY
from tests.domain.endpoints import an_endpoint
from tests.domain.test_purging import AGES

if TYPE_CHECKING:
    from tests.domain.world import World

JOBS = "docs/pt-BR/jobs.md"
OPERATION = "docs/pt-BR/operacao.md"
QUERIES = re.findall(r"^```sql\n(.*?)^```$", (ROOT / OPERATION).read_text("utf-8"), re.MULTILINE | re.DOTALL)
NETWORKS: dict[str, Any] = {"mastodon": Mastodon, "bluesky": Bluesky, "instagram": Instagram, "linkedin": LinkedIn}
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


def test_the_table_of_networks_has_their_limits() -> None:
    for provider, network in NETWORKS.items():
        [row] = rows_of("docs/publishing.md", provider)
        assert row[1].split()[0] == str(network.traits.characters)
        assert row[2].split(",")[0] == str(network.traits.media)
        minutes = row[3].removesuffix(" min")
        if minutes.isdigit():
            assert network.traits.repeatable == timedelta(minutes=int(minutes))


def test_the_tables_of_maintenance_are_the_schedules_and_the_policies() -> None:
    page = "docs/maintenance.md"
    entries = {entry.name: f"`{entry.cron}`" if entry.cron else f"every {entry.every}" for entry in SCHEDULES}
    several = {name for name in entries if name.startswith("purge_expired_records:") and not name.endswith("objects")}
    for name in entries.keys() - several:
        [row] = rows_of(page, name)
        assert row[1] == entries[name]
    [row] = rows_of(page, "purge_expired_records:…")
    assert {f"{entries[name]}, within 30m" for name in several} == {row[1]}
    kept = {name: str(days) for name, (_, _, days, _, _) in AGES.items()}
    assert {name: rows_of(page, name)[0][1] for name in kept} == kept
    assert len(rows_of(page, "unattached_media")) == 1


def test_the_table_of_roles_is_that_of_the_rights() -> None:
    [head] = [
        line for line in (ROOT / "docs/identity.md").read_text("utf-8").splitlines() if line.startswith("| role ")
    ]
    rights = re.findall(r"`(\w+)`", head)
    assert set(rights) == set(Right)
    for role, has in RIGHTS.items():
        [row] = rows_of("docs/identity.md", role)
        assert {right for right, cell in zip(rights, row[1:], strict=True) if cell == "yes"} == has


def rows_of(page: str, name: str) -> list[list[str]]:
    lines = (ROOT / page).read_text("utf-8").splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith(f"| `{name}` ")]


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
