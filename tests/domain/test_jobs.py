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


@pytest.mark.trap("a payload carries objects")
@pytest.mark.parametrize("job", JOBS)
def test_no_argument_can_be_a_secret(job: type[Job]) -> None:
    named = [name for name in job.model_fields if not name.endswith("_id")]  # which secret, not the secret
    assert not [name for name in named if SECRET.search(name)]


def test_every_job_class_is_in_the_list() -> None:
    named = {name for name in domain.jobs.__all__ if name.endswith("Job")}
    assert named == {job.__name__ for job in JOBS} == set(app.kinds)
