"""docker-compose.yml says the same as the settings: nothing runs it here, so this reads it."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest
import typer.main
import yaml

from pgqueue.settings import ENVIRONMENT
from tests.house.source import ROOT

WORKERS = ("worker",)
PROCESSES = (*WORKERS, "api")
"""Everything that runs the application."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def _option(service: dict[str, Any], name: str) -> str:
    command = service["command"]
    return str(command[command.index(name) + 1])


def _options(function: Any) -> list[Any]:
    app = typer.Typer()
    app.command()(function)
    return list(typer.main.get_command(app).params)


def test_the_services_are_the_ones_that_are_promised(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", "migrate", *PROCESSES, "metrics", "mail", "scanner"}


def test_the_database_has_pgvector_and_is_waited_for(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["postgres"]["image"].startswith("pgvector/pgvector:pg")
    assert services["postgres"]["healthcheck"]["test"][1].startswith("pg_isready")
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for process in PROCESSES:
        assert services[process]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_every_dependency_network_and_volume_is_declared(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", {})) <= set(compose["services"]), name
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"], name
        for config in service.get("configs", []):
            assert config["source"] in compose["configs"], name


def test_the_database_address_is_the_one_that_postgres_is_given(compose: dict[str, Any]) -> None:
    given = compose["services"]["postgres"]["environment"]
    for name in ("migrate", *PROCESSES):
        url = compose["services"][name]["environment"]["PGQUEUE_DATABASE_URL"]
        assert url == (
            f"postgresql://{given['POSTGRES_USER']}:{given['POSTGRES_PASSWORD']}@postgres:5432/{given['POSTGRES_DB']}"
        )


def test_every_variable_is_read_by_somebody(compose: dict[str, Any]) -> None:
    domain = importlib.import_module("domain.settings")
    fields = domain.DomainSettings.model_fields
    known = {f"{domain.PREFIX}{name.upper()}" for name in fields}
    required = {f"{domain.PREFIX}{name.upper()}" for name, field in fields.items() if field.is_required()}
    for name in ("migrate", *PROCESSES):
        given = set(compose["services"][name]["environment"])
        assert given <= known | set(ENVIRONMENT), name
        assert name == "migrate" or required <= given, name


def test_the_api_and_the_workers_have_the_same_settings_and_objects(compose: dict[str, Any]) -> None:
    common = ("environment", "volumes", "build", "stop_grace_period")
    for name in PROCESSES:
        service = compose["services"][name]
        assert [service[each] for each in common] == [compose["services"]["worker"][each] for each in common]
        given = service["environment"]
        assert given["SMM_SMTP_HOST"] in compose["services"]
        assert given["SMM_SMTP_PORT"] == "1025"
        assert given["SMM_CLAMD_ADDRESS"].split(":")[0] in compose["services"]
        assert f"objects:{given['SMM_STORAGE_DIRECTORY']}" in service["volumes"]


def test_the_api_is_where_browsers_are_sent_back_to(compose: dict[str, Any]) -> None:
    serve = importlib.import_module("domain.http.__main__")
    api = compose["services"]["api"]
    assert api["entrypoint"] == ["python", "-m", "domain.http"]
    flags = {flag for parameter in _options(serve.serve) for flag in parameter.opts}
    assert {word for word in api["command"] if word.startswith("--")} <= flags
    base_url = importlib.import_module("domain.settings").DomainSettings.model_fields["base_url"].default
    host, port, inside = api["ports"][0].split(":")
    assert f"http://{host}:{port}" == base_url
    assert inside == _option(api, "--port")
    assert int(api["stop_grace_period"].removesuffix("s")) > serve.DRAIN_SECONDS


def test_the_workers_serve_every_queue(compose: dict[str, Any]) -> None:
    for worker in WORKERS:
        assert "--queues" not in compose["services"][worker]["command"]  # so all of the App


def test_the_workers_are_started_with_options_that_exist(compose: dict[str, Any]) -> None:
    command: Any = typer.main.get_command(importlib.import_module("pgqueue.cli.root").app)
    supervise = command.commands["supervise"]
    flags = {flag for parameter in supervise.params for flag in parameter.opts}
    for worker in WORKERS:
        verb, *rest = compose["services"][worker]["command"]
        assert verb == "supervise"
        assert {word for word in rest if word.startswith("--")} <= flags


def test_the_workers_app_exists(compose: dict[str, Any]) -> None:
    for worker in WORKERS:
        module, attribute = _option(compose["services"][worker], "--app").split(":")
        assert hasattr(importlib.import_module(module), attribute)


def test_prometheus_looks_where_the_workers_answer(compose: dict[str, Any]) -> None:
    scraped = yaml.safe_load(compose["configs"]["prometheus"]["content"])
    targets = [
        target for job in scraped["scrape_configs"] for static in job["static_configs"] for target in static["targets"]
    ]
    ports = {f"{name}:{_option(compose['services'][name], '--metrics-port')}" for name in WORKERS}
    assert set(targets) == ports


def test_workers_may_finish_before_they_are_killed(compose: dict[str, Any]) -> None:
    drain = importlib.import_module("pgqueue").Settings().drain.total_seconds()
    for worker in WORKERS:
        grace = re.fullmatch(r"(\d+)s", compose["services"][worker]["stop_grace_period"])
        assert grace
        assert int(grace[1]) > drain


def test_nothing_is_open_to_other_machines(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_the_image_runs_as_an_ordinary_account() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    users = [line.removeprefix("USER ") for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] != "root"
    assert 'ENTRYPOINT ["pgqueue"]' in lines
