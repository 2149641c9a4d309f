"""The rules of the architecture document that the code can be asked for."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import TYPE_CHECKING

import pytest

import domain.jobs
from domain.app import app
from domain.jobs import JOBS

if TYPE_CHECKING:
    from pgqueue import Job

SECRET = re.compile(r"token|secret|password|passwd|api_?key|credential|private|authorization", re.IGNORECASE)


def the_body(method: object) -> list[ast.stmt]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(method)))  # type: ignore[arg-type] # a function
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    return function.body[1:]  # after the docstring


@pytest.mark.parametrize(
    ("job", "method"), [(job, method) for job in JOBS for method in ("run", "on_dead") if hasattr(job, method)]
)
def test_a_job_is_one_call_of_a_use_case(job: type[Job], method: str) -> None:
    [only] = the_body(getattr(job, method))
    assert isinstance(only, ast.Return | ast.Expr)
    call = only.value
    assert isinstance(call, ast.Await)
    assert isinstance(call.value, ast.Call)
    assert ast.unparse(call.value.func).startswith("app.")


@pytest.mark.parametrize("job", JOBS)
def test_no_argument_can_be_a_secret(job: type[Job]) -> None:
    named = [name for name in job.model_fields if not name.endswith("_id")]  # which secret, not the secret
    assert not [name for name in named if SECRET.search(name)]


@pytest.mark.parametrize("job", JOBS)
def test_every_job_says_what_it_calls_and_who_dispatches_it(job: type[Job]) -> None:
    assert job.policy.use_case
    assert job.policy.dispatched_by
    assert job.policy.retry.backoff


def test_every_job_class_is_in_the_list() -> None:
    named = {name for name in domain.jobs.__all__ if name.endswith("Job")}
    assert named == {job.__name__ for job in JOBS} == set(app.kinds)


def test_queues_and_policies_are_those_of_the_document() -> None:
    assert {
        name: (queue.priority, queue.workers, queue.timeout.total_seconds())
        for name, queue in app.settings.queues.items()
    } == {
        "publishing": ("high", 3, 120),
        "high": ("high", 2, 60),
        "default": ("normal", 3, 90),
        "analytics-sync": ("normal", 2, 120),
        "media-processing": ("normal", 2, 300),
        "notifications": ("normal", 2, 30),
        "low": ("low", 1, 600),
    }
    assert {row["kind"]: (row["max_attempts"], row["backoff_seconds"]) for row in app.describe()} == {
        "ProcessScheduledPostJob": (3, [60, 300, 900]),
        "RetryPublishJob": (3, [60, 300, 900]),
        "DispatchDuePostsJob": (1, [60]),
        "SweepStuckPostsJob": (1, [60]),
        "ResumePublicationsJob": (3, [60, 300, 900]),
        "RefreshExpiringTokensJob": (3, [60, 300, 900]),
        "NotifyPublishResultJob": (3, [30, 60, 300]),
        "ProcessStripeWebhookJob": (3, [60, 300, 900]),
        "CheckExpiredSubscriptionsJob": (3, [60, 300, 900]),
        "DowngradeToFreePlanJob": (3, [60, 300, 900]),
        "SyncUsageRecordsJob": (3, [60, 300, 900]),
        "DeliverWebhookJob": (4, [60, 300, 1800]),
        "GenerateReportJob": (3, [60, 300, 900]),
        "SendVerificationEmailJob": (3, [30, 60, 300]),
        "SendPasswordResetJob": (3, [30, 60, 300]),
        "PauseOrgScheduledPostsJob": (3, [60, 300, 900]),
        "InvalidateUserSessionsJob": (3, [60, 300, 900]),
        "CleanupSuspendedOrgsJob": (3, [60, 300, 900]),
        "ProcessAccountDeletionJob": (3, [60, 300, 900]),
        "ScanMediaJob": (2, [60, 300]),
        "GenerateThumbnailJob": (3, [60, 300, 900]),
        "SyncPostMetricsJob": (3, [120, 600, 1800]),
        "SyncAccountMetricsJob": (3, [120, 600, 1800]),
        "CaptureCommentsJob": (3, [60, 300, 900]),
        "GenerateEmbeddingJob": (3, [60, 300, 900]),
        "PurgeExpiredRecordsJob": (3, [60, 300, 900]),
    }
