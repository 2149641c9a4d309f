"""Which calls in a module leave the process, and which of them are under no breaker.

A call is under a breaker if it stands in a ``with ….calling(…)`` block, in a private function or class that is used
only from such blocks, or if it is handed, not yet begun, to a function that makes it in such a block.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tests.house.source import Function

if TYPE_CHECKING:
    from collections.abc import Iterator

OUTSIDE = {"aiosmtplib", "httpcore", "httpx", "obstore", "requests", "smtplib", "socket", "stripe", "urllib"}
CLIENTS = ("Backend", "Client", "Pool", "SMTP")
SOCKETS = {"getaddrinfo", "open_connection", "open_unix_connection", "create_connection"}
# What a library calls back, within a call that is under a breaker: class, and whose call that is.
CALLED_BACK = {"_Http": "Stripe._call", "Guard": "Webhooks.deliver"}


def unguarded(tree: ast.Module) -> list[tuple[int, str]]:
    """Line and text of each call that leaves the process under no breaker."""
    calls = Calls(tree)
    return [(call.lineno, ast.unparse(call)) for call in calls.leaving() if not calls.is_under(call)]


@dataclass
class Calls:
    """The calls of one module."""

    tree: ast.Module
    asked: set[ast.AST] = field(default_factory=set)

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def clients(self) -> set[str]:
        """The names, ``self._http`` or ``http``, of what calls others."""
        found: set[str] = set()
        if not self.imported:
            return found
        for node in ast.walk(self.tree):
            match node:
                case ast.arg(arg=name, annotation=ast.expr() as what) if _is_client(what):
                    found.add(name)
                case ast.AnnAssign(target=target, annotation=what) if _is_client(what):
                    found |= {ast.unparse(target), f"self.{ast.unparse(target)}"}
                case ast.withitem(context_expr=ast.Call(func=what), optional_vars=ast.expr() as target):
                    found |= {ast.unparse(target)} if _is_client(what) else set()
                case ast.Assign(targets=[target], value=ast.Call(func=what)) if _is_client(what):
                    found.add(ast.unparse(target))
        for node in ast.walk(self.tree):
            match node:
                case ast.Assign(targets=[target], value=ast.Name(id=name)) if name in found:
                    found.add(ast.unparse(target))
        return found

    @cached_property
    def imported(self) -> set[str]:
        """The names that lead outside: modules, and functions of theirs."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.asname or alias.name for alias in node.names if alias.name.split(".")[0] in OUTSIDE}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OUTSIDE:
                found |= {alias.asname or alias.name for alias in node.names if node.module != "urllib.parse"}
        return found

    def leaving(self) -> Iterator[ast.expr]:
        """What is called, or named to be called by somebody else."""
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Attribute | ast.Name) or isinstance(self.parents[node], ast.Attribute):
                continue  # a part of a longer name
            if self._leaves(node) and not self._annotates(node):
                yield node

    def _leaves(self, what: ast.Attribute | ast.Name) -> bool:
        steps = _steps(what)
        if steps[0] in self.imported:  # what begins with a capital is a type
            return not any(step[:1].isupper() for step in steps)
        if isinstance(what, ast.Attribute) and (what.attr in SOCKETS or what.attr.startswith("sock_")):
            return True
        return bool(self.clients) and any(".".join(steps[:length]) in self.clients for length in range(1, len(steps)))

    def is_under(self, node: ast.AST) -> bool:
        """Tell whether all ways to this piece of code lead through a breaker."""
        child, parent = node, self.parents.get(node)
        if isinstance(parent, ast.Call) and parent.func is node:
            child, parent = parent, self.parents.get(parent)
        while parent is not None:
            match parent:
                case ast.With(items=items) if _is_breaker(items) and child not in items:
                    return True
                case ast.Call(func=func) if child is not func and self._makes_it(func):
                    return True
                case ast.Assign(targets=[ast.Name(id=name)]) if self._is_handed_on(name, parent):
                    return True
                case ast.ClassDef(name=name) if name in CALLED_BACK:
                    return True
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    if name.startswith("_") and not name.startswith("__"):
                        return self._is_used_under(name, parent)
            child, parent = parent, self.parents.get(parent)
        return False

    def _is_used_under(self, name: str, itself: ast.AST) -> bool:
        if itself in self.asked:
            return True  # it calls itself
        self.asked.add(itself)
        uses = [
            node
            for node in ast.walk(self.tree)
            if (isinstance(node, ast.Name) and node.id == name)
            or (isinstance(node, ast.Attribute) and node.attr == name)
            if not self._annotates(node)
        ]
        return bool(uses) and all(self.is_under(use) for use in uses)

    def _makes_it(self, func: ast.expr) -> bool:
        """Tell whether a function makes, under a breaker, the call that it is handed."""
        name = func.attr if isinstance(func, ast.Attribute) else None
        for node in ast.walk(self.tree):
            if isinstance(node, Function) and node.name == name and name.startswith("_"):
                handed = {arg.arg for arg in node.args.args} - {"self"}
                uses = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in handed]
                return any(self._made_at(use) for use in uses)
        return False

    def _made_at(self, use: ast.Name) -> bool:
        parent = self.parents[use]
        begun = isinstance(parent, ast.Await) or (isinstance(parent, ast.Call) and _starts(parent, use))
        passed_on = isinstance(parent, ast.Call) and parent.func is not use and self._makes_it(parent.func)
        return passed_on or (begun and self._stands_in_a_block(use))

    def _stands_in_a_block(self, node: ast.AST) -> bool:
        parent = self.parents.get(node)
        while parent is not None and not isinstance(parent, Function):
            if isinstance(parent, ast.With) and _is_breaker(parent.items):
                return True
            parent = self.parents.get(parent)
        return False

    def _is_handed_on(self, name: str, assigned: ast.Assign) -> bool:
        function = assigned
        while not isinstance(function, Function | ast.Module):
            function = self.parents[function]  # type: ignore[assignment] # any node
        uses = [
            node
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        ]
        return bool(uses) and all(
            isinstance(call := self.parents[use], ast.Call) and self._makes_it(call.func) for use in uses
        )

    def _annotates(self, node: ast.AST) -> bool:
        child, parent = node, self.parents.get(node)
        while parent is not None and not isinstance(parent, ast.stmt):
            if isinstance(parent, ast.arg):
                return True
            child, parent = parent, self.parents.get(parent)
        return (isinstance(parent, Function) and child is parent.returns) or (
            isinstance(parent, ast.AnnAssign) and child is parent.annotation
        )


def _steps(what: ast.expr) -> list[str]:
    """`a.b.c` as a list; a call or an index in between is a step without a name."""
    match what:
        case ast.Name(id=name):
            return [name]
        case ast.Attribute(value=value, attr=name):
            return [*_steps(value), name]
    return [""]


def _starts(call: ast.Call, given: ast.Name) -> bool:
    return call.func is given or ast.unparse(call.func) == "asyncio.to_thread"


def _is_client(what: ast.expr) -> bool:
    name = ast.unparse(what)
    return name.split(".")[0] in OUTSIDE and name.endswith(CLIENTS)


def _is_breaker(items: list[ast.withitem]) -> bool:
    return any(
        isinstance(item.context_expr, ast.Call)
        and isinstance(item.context_expr.func, ast.Attribute)
        and item.context_expr.func.attr == "calling"
        for item in items
    )
