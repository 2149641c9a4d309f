"""Who may do what in the application: each rule reads a module and names the lines that break it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.house.breakers import OUTSIDE, SOCKETS, unguarded
from tests.house.source import Function, called

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.house.source import Module

ENQUEUES = {"dispatch", "enqueue", "enqueue_many"}
TRANSACTIONS = {"begin", "commit", "rollback", "session", "sessions", "transaction", "begin_nested"}
Broken = tuple[int, str]


def _is_at(module: Module, *folders: str) -> bool:
    return any(module.name.startswith(f"domain/{folder}") for folder in folders)


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def jobs_are_made_by_use_cases_and_listeners(module: Module) -> Iterator[Broken]:
    """A controller calls a use case; what is to be done later the use case dispatches."""
    if _is_at(module, "use_cases/", "listeners/", "schedules.py", "jobs/"):
        return
    for call in _calls(module.tree):
        if called(call).endswith("Job"):
            yield call.lineno, f"{called(call)} is made here; a use case or a listener dispatches it"
        if called(call) in ENQUEUES and not _is_at(module, "unit_of_work.py", "demo/"):
            yield call.lineno, f"{called(call)} is called here; a use case or a listener does that"


def use_cases_dispatch_through_their_unit_of_work(module: Module) -> Iterator[Broken]:
    """So that a job exists if and only if the rows do."""
    if not _is_at(module, "use_cases/", "listeners/"):
        return
    for call in _calls(module.tree):
        if called(call) in ENQUEUES - {"dispatch"}:
            yield call.lineno, f"{ast.unparse(call.func)} goes past the unit of work; call its dispatch"


def a_job_is_one_call_into_a_use_case(module: Module) -> Iterator[Broken]:
    """No logic in jobs: ``run`` and ``on_dead`` are ``await app.<use case>(…)``."""
    if not _is_at(module, "jobs/"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, Function) and not (node.name in {"run", "on_dead"} and _is_one_call(node)):
            yield node.lineno, f"{node.name} is more than one call into a use case"


def _is_one_call(function: Function) -> bool:
    match function.body[1:] if ast.get_docstring(function) else function.body:
        case [ast.Return(value=ast.Await(value=call)) | ast.Expr(value=ast.Await(value=call))]:
            plain = not any(isinstance(n, ast.BoolOp | ast.IfExp | ast.Lambda | ast.BinOp) for n in ast.walk(call))
            once = sum(1 for _ in _calls(call)) == 1
            return isinstance(call, ast.Call) and ast.unparse(call.func).startswith("app.") and plain and once
    return False


def a_listener_only_dispatches(module: Module) -> Iterator[Broken]:
    """It runs inside the publishing transaction: it opens none, ends none, reads and writes nothing."""
    if not _is_at(module, "listeners/") or module.path.name == "__init__.py":
        return
    own = {node.name for node in ast.walk(module.tree) if isinstance(node, Function)}
    for node in ast.walk(module.tree):
        match node:
            case ast.Attribute(attr=name) if name in TRANSACTIONS:
                yield node.lineno, f"a listener has nothing to do with .{name}"
            case ast.Await(value=ast.Call() as call) if not _is_dispatch(call, own):
                yield node.lineno, f"{ast.unparse(call.func)} is awaited; a listener awaits uow.dispatch"
            case ast.Call() if called(node) in {"create_task", "ensure_future", "gather", "to_thread"}:
                yield node.lineno, f"{called(node)} leaves the transaction"


def _is_dispatch(call: ast.Call, own: set[str]) -> bool:
    name = ast.unparse(call.func)
    return name == "uow.dispatch" or (name.startswith("_") and name in own)


def outside_calls_are_under_a_breaker(module: Module) -> Iterator[Broken]:
    """An outage of one system costs no calls to others. The stand-ins and the demonstration are outside themselves."""
    if _is_at(module, "standins/", "demo/") or not any(word in module.text for word in OUTSIDE | SOCKETS):
        return
    for line, text in unguarded(module.tree):
        yield line, f"{text} leaves the process under no breaker; call it within breakers.calling(…)"


RULES: tuple[Callable[[Module], Iterator[Broken]], ...] = (
    jobs_are_made_by_use_cases_and_listeners,
    use_cases_dispatch_through_their_unit_of_work,
    a_job_is_one_call_into_a_use_case,
    a_listener_only_dispatches,
    outside_calls_are_under_a_breaker,
)
