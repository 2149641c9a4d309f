"""How figures are shown: a table for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

Figures = dict[str, float | int | str]

_ROWS = (
    ("enqueue, one job per transaction", "enqueue_per_second", "{:,.0f} jobs/s"),
    ("  commit included, p50 / p99", ("enqueue_p50_ms", "enqueue_p99_ms"), "{:.2f} / {:.2f} ms"),
    ("enqueue_many", "enqueue_many_per_second", "{:,.0f} jobs/s"),
    ("relay", "relay_per_second", "{:,.0f} jobs/s"),
    ("drain, one process, relayed before", "drain_jobs_per_second", "{:,.0f} jobs/s"),
    ("drain, one process, from the outbox to done", "outbox_to_done_jobs_per_second", "{:,.0f} jobs/s"),
    ("  with a unique key, share of that rate", "unique_share", "{:.2f}"),
    ("  with a limit, 100 keys", "limit_share", "{:.2f}"),
    ("  in a fair queue, 100 organizations", "fair_share", "{:.2f}"),
    ('drain, rows kept for 1 h (retain="1h")', "drain_kept_jobs_per_second", "{:,.0f} jobs/s"),
    (
        "idle: commit to start of the job, p50 / p95 / p99",
        ("idle_latency_p50_ms", "idle_latency_p95_ms", "idle_latency_p99_ms"),
        "{:.1f} / {:.1f} / {:.1f} ms",
    ),
    ("WAL per job: enqueue_many", "enqueue_wal_bytes_per_job", "{:,.0f} B"),
    ("WAL per job: relay", "relay_wal_bytes_per_job", "{:,.0f} B"),
    ("WAL per job: claim + complete", "claim_complete_wal_bytes_per_job", "{:,.0f} B"),
    ("WAL per job: claim + complete, rows kept", "drain_kept_wal_bytes_per_job", "{:,.0f} B"),
    ("statements per job while draining", "drain_statements_per_job", "{:.4f}"),
    ("worker's CPU per job", "drain_worker_cpu_us_per_job", "{:.1f} µs"),
    ("buffers of a claim of 100", "claim_buffers", "{:,.0f}"),
    ("  the same, jobs finished under a held snapshot", "claim_buffers_held_snapshot", "{:,.0f}"),
)


class Progress:
    """Says on a terminal's error output which measure is done; nothing else hears it."""

    def __init__(self, *, quiet: bool) -> None:
        """Say nothing in JSON mode, into a file or a pipe."""
        self._quiet = quiet or not sys.stderr.isatty()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def say(self, done: str) -> None:
        """Write over the line before."""
        if not self._quiet:
            sys.stderr.write(f"\r\x1b[2Kmeasured: {done} …")
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        """Clear the line."""
        if not self._quiet:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def as_json(figures: Figures) -> str:
    """Return one JSON object, rounded to what was measured."""
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}
    return json.dumps(rounded, indent=2) + "\n"


def as_table(figures: Figures) -> str:
    """Return a table: drawn on a terminal, aligned text otherwise."""
    rows = [(label, _shown(figures, names, form)) for label, names, form in _ROWS]
    title = (
        f"{figures['jobs']:,} no-op jobs of about 200 bytes, PostgreSQL {figures['server_version']}, "
        f"synchronous_commit = {figures['synchronous_commit']}"
    )
    if not sys.stdout.isatty():
        width = max(len(label) for label, _ in rows)
        return "\n".join([title, "", *(f"{label:<{width}}  {value}" for label, value in rows)]) + "\n"
    return _drawn(title, rows)


def _drawn(title: str, rows: list[tuple[str, str]]) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table("measured", title=title, title_justify="left")
    table.add_column("value", justify="right")
    for label, value in rows:
        table.add_row(label, value)
    out = StringIO()
    Console(file=out, force_terminal=True).print(table)
    return out.getvalue()


def _shown(figures: Figures, names: str | tuple[str, ...], form: str) -> str:
    return form.format(*(figures[name] for name in ((names,) if isinstance(names, str) else names)))
