"""The rules of this house, each as a test that names who breaks it."""

from __future__ import annotations

import ast
import importlib
import io
import re
import tokenize
from types import ModuleType

import pgqueue
from tests.house.source import ROOT, Function, called, functions, lines_of, modules, texts

FUNCTION_LINES = 50
MODULE_LINES = 300
SQL_BLOCK_LINES = 60

SLEEPS = {"sleep", "sleep_until"}
SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no\s+cover)\b", re.IGNORECASE)
# the rules or codes, then why
EXPLAINED = re.compile(
    r"# (noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|type: ignore\[[a-z-]+(, ?[a-z-]+)*\]|pragma: no cover)"
    r"\s+[-#] *\w.{3,}"
)
TAKES_SQL = {"execute", "executemany", "exec_driver_sql", "copy", "stream", "text", "SQL", "Query"}

# Where text is put together and then sent as SQL: "file:function", and why no outsider's text can be in it.
COMPOSED_SQL: dict[str, str] = {
    "pgqueue/bench/measures.py:_buffers": "EXPLAIN before a block of the chapters",
    "pgqueue/migrations/env.py:<module>": "the schema's name, checked against a pattern by Settings",
    "pgqueue/schema/__init__.py:metadata": "the schema's name, in a default that only migrations and tests send",
}


def test_functions_fit_on_a_screen() -> None:
    long = {
        f"{module.name}:{function.lineno} {function.name}": lines_of(function)
        for module in modules()
        for function in functions(module)
        if lines_of(function) > FUNCTION_LINES
    }
    assert not long


def test_modules_are_read_in_one_sitting() -> None:
    long = {module.name: count for module in modules() if (count := len(module.text.splitlines())) > MODULE_LINES}
    assert not long


def test_sql_blocks_are_short() -> None:
    long = {}
    for chapter in sorted((ROOT / "pgqueue" / "sql").glob("*.sql")):
        head, lines = "top", 0
        for line in [*chapter.read_text("utf-8").splitlines(), "-- name: end"]:
            if re.match(r"-- (name|function|view|table): ", line):
                if lines > SQL_BLOCK_LINES:
                    long[f"{chapter.name} {head}"] = lines
                head, lines = line.split(": ")[1], 0
            elif line.strip() and not line.lstrip().startswith("--"):
                lines += 1
    assert not long


def test_no_test_sleeps_and_hopes() -> None:
    sleeping = [
        f"{module.name}:{node.lineno}"
        for module in modules("tests")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and called(node) in SLEEPS
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value != 0
    ]
    assert not sleeping


def test_a_silenced_warning_has_a_code_and_a_reason() -> None:
    unexplained = [
        f"{module.name}:{token.start[0]} {token.string}"
        for module in modules()
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline)
        if token.type == tokenize.COMMENT
        and any(not EXPLAINED.match(token.string, found.start()) for found in SUPPRESSION.finditer(token.string))
    ]
    assert not unexplained


def test_sql_is_never_put_together_from_text() -> None:
    composed = set()
    for module in modules("pgqueue"):
        for name, body in [("<module>", module.tree), *((f.name, f) for f in functions(module))]:
            if _composes(body):
                composed.add(f"{module.name}:{name}")
    # a function inside the module is the module's as well: name the innermost only
    named = {where for where in composed if not where.endswith("<module>")}
    composed = named | {
        where for where in composed - named if not any(n.split(":")[0] == where.split(":")[0] for n in named)
    }
    assert composed == set(COMPOSED_SQL)


def _composes(body: ast.Module | Function) -> bool:
    assigned = {
        target.id: node.value
        for node in ast.walk(body)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(body):
        if isinstance(node, ast.Call) and called(node) in TAKES_SQL and node.args:
            given = node.args[0]
            if isinstance(given, ast.Name):
                given = assigned.get(given.id, given)
            if _is_composed(given):
                return True
    return False


def _is_composed(node: ast.expr) -> bool:
    match node:
        case ast.JoinedStr():
            return any(isinstance(part, ast.FormattedValue) for part in node.values)
        case ast.BinOp(left=left, op=ast.Mod() | ast.Add(), right=right):
            return any(isinstance(side, ast.Constant | ast.JoinedStr) for side in (left, right))
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant() | ast.Name())):
            return True
    return False


def test_the_public_names_are_listed_and_exist() -> None:
    for module in _modules_with_a_list():
        listed: list[str] = vars(module)["__all__"]
        assert [name for name in listed if not hasattr(module, name)] == [], module.__name__
        assert len(set(listed)) == len(listed), module.__name__


def test_every_public_name_of_the_package_is_in_its_list() -> None:
    public = {
        name
        for name, value in vars(pgqueue).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and name not in {"annotations", "TYPE_CHECKING"}
    }
    assert public - set(vars(pgqueue)["__all__"]) == set()


def test_no_public_name_is_that_of_a_module() -> None:
    """Whoever loads the module first would get it in place of what it holds."""
    listed: list[str] = vars(pgqueue)["__all__"]
    assert not [name for name in listed if (ROOT / "pgqueue" / f"{name}.py").exists()]


def _modules_with_a_list() -> list[ModuleType]:
    named = []
    for module in modules("pgqueue"):
        if re.search(r"^__all__ = ", module.text, re.MULTILINE):
            dotted = ".".join(module.path.relative_to(ROOT).with_suffix("").parts)
            named.append(importlib.import_module(dotted.removesuffix(".__init__")))
    return named


def test_nothing_names_a_machine_or_where_packages_come_from() -> None:
    # written so that this file does not find itself
    private = re.compile(
        r"(?<![\w.])/(w[o]rk|r[o]ot)/\w|/h[o]me/\w+/|\.\./sh[a]red|p[y]pi\.org|python[h]osted"
        r"|--(extra-)?index[-]url|--find[-]links|file:/[/]/"
    )
    found = [
        f"{name}:{number} {line.strip()[:100]}"
        for name, text in texts()
        if not name.startswith("docs/source/")  # copied word for word
        for number, line in enumerate(text.splitlines(), 1)
        if private.search(line)
    ]
    assert not found


def test_versions_are_pinned_by_name_and_number_alone() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line)] == []
