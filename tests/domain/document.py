"""The job architecture document, read: its tables, its blocks of code, its lists of names. Nothing is retyped."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from tests.docs.pages import ROOT

TEXT = (ROOT / "docs/source/job-architecture.pt.md").read_text("utf-8")


class Queue(NamedTuple):
    priority: str
    workers: int | None
    timeout_seconds: float


class Retrying(NamedTuple):
    max_attempts: int
    backoff_seconds: list[float]


PRIORITIES = {"Alta": "high", "Normal": "normal", "Baixa": "low"}


def section(title: str) -> str:
    """What stands between a heading and the next one of its level or above."""
    [level] = re.findall(rf"^(#+) {re.escape(title)}$", TEXT, re.MULTILINE)
    _, _, rest = TEXT.partition(f"\n{level} {title}\n")
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table(text: str) -> list[tuple[str, ...]]:
    """The rows of all tables in a text, without heads and without the marks of code."""
    rows = [
        tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))
        for line in text.splitlines()
        if line.startswith("|")
    ]
    rules = [number for number, row in enumerate(rows) if set("".join(row)) <= {"-"}]
    heads = {number - 1 for number in rules}
    return [row for number, row in enumerate(rows) if number not in heads and number not in rules]


@cache
def jobs() -> dict[str, str]:
    """Every kind and its queue."""
    return {name: queue for name, queue, _ in table(section("Tipos de Jobs"))}


@cache
def queues() -> dict[str, Queue]:
    return {
        name: Queue(PRIORITIES[priority], int(workers), _seconds(timeout))
        for name, priority, workers, timeout in table(section("Filas e Prioridades"))
    }


@cache
def retries() -> dict[str, Retrying]:
    """By the name that the table gives to a group of jobs; "" is the default."""
    tries, waits = re.findall(r"^public \$(?:tries|backoff) = (.*?);", section("Configuração padrão"), re.MULTILINE)
    default = Retrying(int(tries), [float(wait) for wait in re.findall(r"\d+", waits)])
    return {"": default} | {
        group: Retrying(int(most), [_seconds(wait) for wait in backoff.split(", ") if wait != "—"])
        for group, most, backoff in table(section("Por tipo de job"))
    }


@cache
def context() -> dict[str, str]:
    """The fields that every job carries, and what they say."""
    return dict(re.findall(r"^- `(\w+)`: (.*)$", section("Contexto Obrigatório"), re.MULTILINE))


@cache
def strategies() -> set[str]:
    """What makes a second run harmless, as the document calls it."""
    return set(re.findall(r"^\d\. \*\*(.*?)\*\*", section("Estratégias"), re.MULTILINE))


def _seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s)", text).groups()  # type: ignore[union-attr] # a cell that does not fit fails
    assert unit == "s"
    return float(number)
