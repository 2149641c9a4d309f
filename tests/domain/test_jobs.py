"""The rules of the architecture document that the code can be asked for."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import domain.jobs
from domain.app import app
from domain.jobs import JOBS
from pgqueue import Job
from pgqueue.errors import ConfigurationError
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from pgqueue import JobContext

SECRET = re.compile(r"token|secret|password|passwd|api_?key|credential|private|authorization", re.IGNORECASE)


@pytest.mark.trap("a payload carries objects")
@pytest.mark.parametrize("job", JOBS)
def test_no_argument_can_be_a_secret(job: type[Job]) -> None:
    named = [name for name in job.model_fields if not name.endswith("_id")]  # which secret, not the secret
    assert not [name for name in named if SECRET.search(name)]


def test_every_job_class_is_in_the_list() -> None:
    named = {name for name in domain.jobs.__all__ if name.endswith("Job")}
    assert named == {job.__name__ for job in JOBS} == set(app.kinds)


def test_a_command_that_names_the_app_does_not_load_the_use_cases() -> None:
    code = """import sys, domain.app
heavy = {"alembic", "cryptography", "fastapi", "httpx", "sqlalchemy", "domain.composition", "domain.models"}
print(*heavy & set(sys.modules))"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


def test_the_application_is_not_built_with_a_job_that_does_not_say_why_it_may_run_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Careless(Job, use_case="Nothing", dispatched_by="Nobody"):
        async def run(self, app: object, ctx: JobContext) -> None:
            """Nothing."""

    monkeypatch.setattr(domain.jobs, "JOBS", [*JOBS, Careless])
    with pytest.raises(ConfigurationError, match=r"Careless does not say why it may run twice; give it idempotency="):
        runpy.run_path(str(ROOT / "domain/app.py"))
