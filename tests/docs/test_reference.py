"""Tables of reference are complete: whatever the code has, the page has."""

from __future__ import annotations

import re
from dataclasses import fields
from inspect import signature

from prometheus_client import CollectorRegistry

from pgqueue import Job, JobContext, JobFailed, QueueSettings, Schedule, Settings, outcome
from pgqueue.metrics import MetricsSubscriber
from pgqueue.setting_tables import SuperviseSettings
from pgqueue.settings import ENVIRONMENT
from tests.docs.pages import ROOT, table_cells


def test_every_setting_and_every_variable_is_documented() -> None:
    documented = table_cells("docs/worker.md", 1)
    assert set(Settings.model_fields) | set(QueueSettings.model_fields) <= documented
    assert set(ENVIRONMENT) <= table_cells("docs/worker.md", 2) | table_cells("docs/supervision.md", 2)


def test_no_setting_is_documented_that_is_gone() -> None:
    text = (ROOT / "docs/worker.md").read_text("utf-8")
    text += (ROOT / "docs/supervision.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| (`PGQUEUE_\w+`|\u2013) \|", text, re.MULTILINE)
    supervise = {f"supervise.{name}" for name in SuperviseSettings.model_fields}
    assert {name for name, _ in rows} == set(Settings.model_fields) | supervise
    assert {variable.strip("`"): name for name, variable in rows if variable.startswith("`")} == ENVIRONMENT


def test_every_log_event_is_documented() -> None:
    pattern = re.compile(
        r'"((?:job|worker|loop|database|heartbeat|process|runner|schedule|sweep|upkeep|wakeups|child|logs|balance|configuration|processes|replace|alert|breaker)\.[a-z_]+)"'
    )
    names = {name for path in (ROOT / "pgqueue").rglob("*.py") for name in pattern.findall(path.read_text("utf-8"))}
    modules = {name for name in names if (ROOT / "pgqueue" / f"{name.replace('.', '/')}.py").exists()}
    assert names - modules - table_cells("docs/operations.md", 1) == set()


def test_no_log_event_is_documented_that_nothing_writes() -> None:
    code = "".join(path.read_text("utf-8") for path in (ROOT / "pgqueue").rglob("*.py"))
    events = {name for name in table_cells("docs/operations.md", 1) if re.fullmatch(r"[a-z]+\.[a-z_]+", name)}
    assert {name for name in events if f'"{name}"' not in code} == set()


def test_every_metric_is_documented_with_its_type_and_no_other() -> None:
    registry = CollectorRegistry()
    MetricsSubscriber(registry)
    page = (ROOT / "docs/operations.md").read_text("utf-8").partition("## Metrics")[2].partition("\n## ")[0]
    types = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE))
    assert types == {
        f"{metric.name}_total" if metric.type == "counter" else metric.name: metric.type
        for metric in registry.collect()
    }


def test_every_policy_keyword_is_documented() -> None:
    keywords = {
        name
        for name, parameter in signature(Job.__pydantic_init_subclass__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert keywords <= table_cells("docs/jobs.md", 1)


def test_every_property_of_a_schedule_is_documented() -> None:
    properties = {field.name for field in fields(Schedule)} - {"_"}
    assert properties <= table_cells("docs/schedules.md", 1)


def test_everything_a_running_job_knows_is_documented() -> None:
    public = {name for name in dir(JobContext) if not name.startswith("_")}
    documented = {name.removesuffix("()") for name in table_cells("docs/jobs.md", 1)}
    assert public - {"completed"} <= documented


def test_every_outcome_is_documented() -> None:
    documented = {re.sub(r"\(.*", "", name) for name in table_cells("docs/jobs.md", 1)}
    assert {member.__name__ for member in outcome.Outcome.__args__} <= documented
    assert set(JobFailed.model_fields) == {"job_id", "job_kind", "job_queue", "reason", "error", "attempts"}


def test_every_state_is_documented() -> None:
    view = (ROOT / "pgqueue/sql/views.sql").read_text("utf-8")
    states = {"completed", "cancelled", "discarded"} | set(
        re.findall(r"'(enqueued|running|ready|held|waiting|dead|merged)'", view)
    )
    assert states == table_cells("docs/concepts.md", 1) & states
