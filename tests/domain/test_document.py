"""The job architecture document against the product: what it states in tables, the product has to say of itself."""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING, Any, get_args

import pytest

from domain.app import app
from domain.jobs import JOBS
from domain.settings import CONFIGURATION
from pgqueue import Context
from pgqueue.cli import main
from pgqueue.policy import Idempotency
from pgqueue.settings import Settings
from tests.domain import document

if TYPE_CHECKING:
    from pgqueue import Job

# The groups of the table of retries, as queues or kinds: everything else has the default.
GROUPS = {
    "publishing": "Publishing",
    "analytics-sync": "Analytics sync",
    "DeliverWebhookJob": "Webhook delivery",
    "ScanMediaJob": "Media scan",
    "notifications": "Notifications",
}
STRATEGIES = {"Verificação de estado": "state check", "Lock lógico": "lock", "Idempotency key": "key"}
KEYS = {
    "kind",
    "queue",
    "timeout_seconds",
    "max_attempts",
    "backoff_seconds",
    "use_case",
    "dispatched_by",
    "idempotency",
}


@pytest.fixture
def kinds(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """What `pgqueue kinds` prints."""
    assert main(["kinds", "--json", "--app", "domain.app:app"]) == 0
    return {kind["kind"]: kind for kind in json.loads(capsys.readouterr().out)}


def test_the_document_is_read_whole() -> None:
    assert len(document.jobs()) == 23
    assert len(document.queues()) == 7
    assert set(document.retries()) == {"", *GROUPS.values()}
    assert set(document.jobs().values()) == set(document.queues())
    assert len(document.context()) == 4
    assert document.strategies() == set(STRATEGIES)


def test_the_kinds_and_their_queues_are_those_of_the_tables(kinds: dict[str, dict[str, Any]]) -> None:
    assert {name: kind["queue"] for name, kind in kinds.items()} == document.jobs()
    assert all(set(kind) == KEYS for kind in kinds.values())
    assert {job.__name__ for job in JOBS} == set(kinds)  # a kind is called as its class is


def test_attempts_and_waits_are_those_of_the_tables(kinds: dict[str, dict[str, Any]]) -> None:
    for name, kind in kinds.items():
        group = GROUPS.get(name) or GROUPS.get(kind["queue"], "")
        assert (kind["max_attempts"], kind["backoff_seconds"]) == document.retries()[group], name


def test_timeouts_are_those_of_the_queues(kinds: dict[str, dict[str, Any]]) -> None:
    for name, kind in kinds.items():
        assert kind["timeout_seconds"] == document.queues()[kind["queue"]].timeout_seconds, name


def test_queues_with_priority_workers_and_timeout_are_those_of_the_table() -> None:
    """In the file alone, and as the application has read it."""
    for settings in (Settings(file=CONFIGURATION, environment={}), app.settings):
        assert {
            name: document.Queue(queue.priority, queue.workers, queue.timeout.total_seconds())
            for name, queue in settings.queues.items()
        } == document.queues()
    assert app.settings.source_of(("queues", "publishing", "workers")) == str(CONFIGURATION)
    order = [document.queues()[name].priority for name in app.queues()]
    assert order == sorted(order, key=["high", "normal", "low"].index)


def test_every_job_carries_the_context_of_the_document() -> None:
    snake = {re.sub(r"[A-Z]", lambda capital: f"_{capital[0].lower()}", name) for name in document.context()}
    enqueued = set(inspect.signature(Context).parameters)
    [of_a_run] = snake - enqueued
    assert of_a_run == "trace_id"  # each enqueue makes one of its own
    assert snake == {"organization_id", "user_id", "correlation_id", "trace_id"}


def test_every_job_names_a_strategy_of_the_document_or_the_transaction(kinds: dict[str, dict[str, Any]]) -> None:
    assert {*STRATEGIES.values(), "transaction"} == set(get_args(Idempotency))
    used = {kind["idempotency"] for kind in kinds.values()}
    assert used == set(get_args(Idempotency))  # and each is somebody's


@pytest.mark.parametrize("job", JOBS)
def test_a_job_that_waits_between_attempts_never_waits_for_ever(job: type[Job]) -> None:
    assert job.policy.retry.max_attempts < 10
    assert job.policy.retry.backoff
