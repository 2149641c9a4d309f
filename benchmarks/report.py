"""What is shown: a table, the settings behind it, what was not measured, the goals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks.figures import MEASURES, goals, rows

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.figures import Rounds


def show(console: Console, rounds: Rounds, about: dict[str, Any], *, scaled: bool) -> None:
    """Print the report."""
    for title, said in [("machine", about["machine"]), ("PostgreSQL", about["postgresql"]), ("Redis", about["redis"])]:
        console.print(f"{title}: {_listed(said)}", highlight=False, markup=False, soft_wrap=True)
    for queue, settings in about["settings"].items():
        console.print(f"  {queue}: {_listed(settings)}", highlight=False, markup=False, soft_wrap=True)
    console.print(_table(rounds, scaled=scaled))
    for queue, reason in about["not_measured"].items():
        console.print(f"not measured: {queue}: {reason}", highlight=False, markup=False, soft_wrap=True)
    for goal in goals(rounds):
        console.print(goal.line(scaled=scaled), highlight=False, markup=False, soft_wrap=True)


def _table(rounds: Rounds, *, scaled: bool) -> Table:
    count = max(map(len, rounds.values()), default=0)
    title = f"{count} round(s), interleaved" + scaled * "; SCALED: only the order of magnitude counts"
    table = Table(title=title, title_justify="left")
    table.add_column("queue")
    for head in ("median", "min", "max", "ratio to us"):
        table.add_column(head, justify="right")
    last = ""
    for row in rows(rounds):
        if row.measure != last:
            table.add_section()
            table.add_row(f"[bold]{MEASURES[row.measure]}[/bold]")
            last = row.measure
        form = "{:,.2f}" if row.measure.startswith("latency") else "{:,.0f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(f"  {row.queue}", *(form.format(value) for value in (row.median, row.least, row.most)), ratio)
    return table


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())
