"""`pgqueue bench`: what this queue does on this machine and this database, measured through the public ways in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pgqueue.bench import measures
from pgqueue.bench.kinds import Kept, Noop
from pgqueue.bench.measures import Place
from pgqueue.bench.place import own_schema
from pgqueue.bench.report import Progress, as_json, as_table
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue.bench.report import Figures

_LEAST, _MOST = 100, 1_000_000
_MOST_FINISHED = 50_000
_LONGEST_NAME = 41


def run(url: str, *, jobs: int = 50_000, json: bool = False, schema: str = "pgqueue") -> int:
    """Measure on the database at ``url``, print, return the exit code.

    Everything happens in a schema of its own (``<schema>_bench``) that is dropped at the end, also after Ctrl-C.

    Raises:
        ConfigurationError: ``jobs`` is out of range.
        PgqueueError: another benchmark is running, or the worker under test ended before its time.

    """
    if not _LEAST <= jobs <= _MOST:
        raise ConfigurationError(f"--jobs is {jobs}; give {_LEAST} to {_MOST}")
    name = f"{schema}_bench"
    if len(name) > _LONGEST_NAME:
        raise ConfigurationError(f"the schema {name} has too long a name for a benchmark; give a shorter --schema")
    with own_schema(url, name) as conn, Progress(quiet=json) as progress:
        figures: Figures = {"jobs": jobs}
        for told, found in _measured(Place(conn, url, name), jobs):
            figures |= found
            progress.say(told)
        figures |= {name: measures.setting(conn, name) for name in ("server_version", "synchronous_commit")}
    sys.stdout.write(as_json(figures) if json else as_table(figures))
    sys.stdout.flush()
    return 0


def _measured(here: Place, jobs: int) -> Iterator[tuple[str, Figures]]:
    """Measure one thing after the other; what is enqueued by one is relayed and drained by the next."""
    yield "one job per transaction", {**measures.single_enqueue(here)}
    measures.empty(here)
    yield "enqueue_many", {**measures.bulk_enqueue(here, Noop, jobs)}
    yield "relay", {**measures.relay(here)}
    drained = measures.drain(here, jobs)
    yield (
        "drain",
        {
            "drain_jobs_per_second": drained["jobs_per_second"],
            "claim_complete_wal_bytes_per_job": drained["wal_bytes_per_job"],
            "drain_statements_per_job": drained["statements_per_job"],
            "drain_worker_cpu_us_per_job": drained["worker_cpu_us_per_job"],
        },
    )
    measures.bulk_enqueue(here, Noop, jobs)
    whole = measures.drain(here, jobs)
    yield "outbox to done", {"outbox_to_done_jobs_per_second": whole["jobs_per_second"]}
    yield "features", {**measures.features(here, max(jobs // 2, _LEAST))}
    measures.bulk_enqueue(here, Kept, jobs)
    measures.relay(here)
    kept = measures.drain(here, jobs)
    yield (
        "drain, rows kept",
        {
            "drain_kept_jobs_per_second": kept["jobs_per_second"],
            "drain_kept_wal_bytes_per_job": kept["wal_bytes_per_job"],
        },
    )
    yield "idle latency", {**measures.latency(here)}
    yield "claims under a held snapshot", {**measures.claim_buffers(here, min(jobs, _MOST_FINISHED))}
