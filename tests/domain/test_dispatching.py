"""Who dispatches what, and what a job starts: what the classes say of themselves is what the code does."""

from __future__ import annotations

import ast
import inspect
import re
from typing import TYPE_CHECKING

import pytest

from domain.jobs import JOBS
from domain.listeners import LISTENERS
from domain.schedules import SCHEDULES
from tests.house.source import functions, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue import Job
    from tests.house.source import Module

# Use cases that dispatch through a function which several of them share.
SHARED = {"dispatch_retry": "RetryPublishJob"}


def made_in(tree: ast.AST) -> set[str]:
    """The kinds that are made in a piece of code."""
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return {SHARED.get(name, name) for name in calls} & {job.__name__ for job in JOBS}


def by_listeners() -> Iterator[tuple[str, str]]:
    made = {
        (module.path.stem, function.name): made_in(function)
        for module in modules("domain/listeners")
        for function in functions(module)
    }
    helpers = {name: kinds for (_, name), kinds in made.items() if name.startswith("_")}
    for event, reactions in LISTENERS.items():
        for reaction in reactions:
            source = inspect.getsource(reaction)
            kinds = made[reaction.__module__.rsplit(".", 1)[1], reaction.__name__]
            for name, more in helpers.items():
                kinds = kinds | (more if f"{name}(" in source else set())
            assert kinds, f"{reaction} dispatches nothing"
            yield from ((kind, event.__name__) for kind in kinds)


def by_use_cases() -> Iterator[tuple[str, str]]:
    for module in modules("domain/use_cases"):
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef):
                yield from ((kind, node.name) for kind in made_in(node))


def by_schedules() -> Iterator[tuple[str, str]]:
    for entry in SCHEDULES:
        name, _, part = entry.name.partition(":")
        yield entry.job.kind, f"schedule {entry.name if part == 'month' else name}"


def test_the_classes_name_everybody_who_dispatches_them_and_nobody_else() -> None:
    found = {*by_listeners(), *by_use_cases(), *by_schedules()}
    assert {job.kind: set(job.policy.dispatched_by) for job in JOBS} == {
        job.kind: {who for kind, who in found if kind == job.kind} for job in JOBS
    }


@pytest.mark.parametrize("job", JOBS)
def test_the_use_cases_that_a_class_names_exist(job: type[Job]) -> None:
    classes = {node.name for module in modules("domain/use_cases") for node in classes_of(module)}
    named = job.policy.use_case.split(" or ")
    # two mails differ in a word
    assert set(named) <= classes | {"SendVerificationEmail", "SendPasswordReset"}


# What the code of a use case has in it that rests on a strategy.
EVIDENCE = {
    "transaction": r"ctx\.transaction\(\)",
    "lock": r"\.lock\(",
    "state check": r"locked|with_for_update|lock=True",
    "key": r"on_conflict|[a-z_]*key|message_id|identifier",
}


def fields_of(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(each.annotation) for each in node.body if isinstance(each, ast.AnnAssign)}


@pytest.mark.parametrize("job", JOBS)
def test_the_strategy_that_a_class_names_is_in_the_code(job: type[Job]) -> None:
    name = {"SendVerificationEmail": "SendLink", "SendPasswordReset": "SendLink"}.get(
        job.policy.use_case.split(" or ")[0], job.policy.use_case.split(" or ")[0]
    )
    [(module, use_case)] = [
        (module, node)
        for module in modules("domain/use_cases")
        for node in classes_of(module)
        if node.name == (name if name != "RetryPublish" else "PublishScheduledPost")
    ]
    strategy = job.policy.idempotency or ""
    # a lock or a check may stand beside the class; what is to be one commit stands in it, and calls nobody outside
    text = ast.unparse(use_case) if strategy == "transaction" else module.text
    assert re.search(EVIDENCE[strategy], text)
    if strategy == "transaction":
        of_class = {node.name: fields_of(node) for node in classes_of(module)}
        parts = {name for name, fields in of_class.items() if fields == {"UnitsOfWork"}}
        assert of_class[use_case.name] <= {"UnitsOfWork", *parts}


def classes_of(module: Module) -> list[ast.ClassDef]:
    return [node for node in module.tree.body if isinstance(node, ast.ClassDef)]
