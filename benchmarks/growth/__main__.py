"""`python -m benchmarks.growth`: measure, print, write the results file."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks import environment, servers
from benchmarks.__main__ import RESULTS, machine
from benchmarks.growth import filling
from benchmarks.growth.carried import carried
from benchmarks.growth.endurance import endured
from benchmarks.growth.figures import TITLES, goals
from benchmarks.growth.points import JOBS, drained, enqueued, shared, sized

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.embedded import EmbeddedServer

_FULL = 10_000_000
_PROCESSES, _ENQUEUERS = (1, 2, 4, 8, 16), (1, 4, 16, 64)


def main() -> int:
    """Return 0, whatever is reached: that is a result."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all that was started is ended
    scaled = options.most < _FULL or options.seconds < 600  # noqa: PLR2004 - the ten minutes that are asked for
    console = Console(width=None if sys.stdout.isatty() else 110)
    found: dict[str, Any] = {}
    with servers.postgresql() as server:
        about = {
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "postgresql": servers.describe(server),
            "jobs": JOBS,
            "scaled": scaled,
        }
        drained(server, lambda _: None)  # a server that just started is slow
        for name, run in _runs(server, options).items():
            if not options.only or name in options.only:
                found[name] = run()
                _show(console, name, found[name])
    document = about | {"runs": found, "goals": [goal.as_json() for goal in goals(found)]}
    RESULTS.mkdir(exist_ok=True)
    kind = "growth-scaled" if scaled else "growth"
    path = RESULTS / f"{about['date'][:16].replace(':', '')}-{kind}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    if "matplotlib" in environment.install("setting up benchmarks/.venv (once)"):
        console.print("no plots: matplotlib could not be installed")
    else:
        plots = Path(__file__).with_name("plots.py")
        subprocess.run([environment.PYTHON, plots, path], check=True)  # noqa: S603 - our own module
    for goal in goals(found):
        console.print(goal.line(scaled=scaled), highlight=False, markup=False, soft_wrap=True)
    return 0


def _runs(server: EmbeddedServer, options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    """Name what is measured; a run is points by size, or looks by time."""
    sizes = [0, *(10**n for n in range(3, 8) if 10**n <= options.most)]

    def by(size_of: Callable[[int], float], values: list[int]) -> Callable[[], Any]:
        return lambda: [[value, size_of(value)] for value in values]

    return {
        "backlog": by(lambda n: drained(server, partial(filling.ready, size=n)), sizes),
        "later": by(lambda n: drained(server, partial(filling.later, size=n)), sizes),
        "finished": by(lambda n: drained(server, partial(filling.finished, size=n)), sizes),
        "queues": by(lambda n: drained(server, partial(filling.queues, size=n)), [0, 10, 100, 1_000]),
        "tenants": by(
            lambda n: drained(server, partial(filling.tenants, size=n, jobs=max(n, JOBS)), behind=0),
            [n for n in (1, 100, 10_000, 100_000) if n <= max(options.most, 100)],
        ),
        "payload": by(partial(sized, server), [100, 1_000, 10_000, 100_000]),
        "processes": by(partial(shared, server), list(_PROCESSES)),
        "enqueuers": by(lambda n: enqueued(server, n, "commit"), list(_ENQUEUERS)),
        "enqueuers_off": by(lambda n: enqueued(server, n, "off"), list(_ENQUEUERS)),
        "sources": by(partial(carried, server), [0, 1, 2]),
        "free": partial(endured, server, options.seconds, snapshot=False, rate=None, every=1.0),
        "snapshot": partial(endured, server, options.seconds, snapshot=True, rate=None, every=1.0),
        "steady": partial(endured, server, options.steady, snapshot=False, rate=options.rate, every=5.0),
    }


def _show(console: Console, name: str, found: list[Any]) -> None:
    table = Table(title=TITLES[name], title_justify="left")
    if isinstance(found[0], dict):
        for head in found[0]:
            table.add_column(head.replace("_", " "), justify="right")
        for look in found[:: max(len(found) // 10, 1)]:
            table.add_row(*(f"{value:,.0f}" for value in look.values()))
    else:
        table.add_column("size", justify="right")
        table.add_column("per second", justify="right")
        for size, rate in found:
            table.add_row(f"{size:,}", f"{rate:,.0f}")
    console.print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--most", type=int, default=1_000_000, help="the largest size; 10 000 000 is the full one")
    parser.add_argument("--seconds", type=float, default=60, help="of full load, free and under a held snapshot")
    parser.add_argument("--steady", type=float, default=60, help="seconds of steady load")
    parser.add_argument("--rate", type=float, default=2_000, help="jobs per second of the steady load")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], metavar="A,B", help="runs to make")
    options = parser.parse_args()
    if unknown := [name for name in options.only if name not in TITLES]:
        parser.error(f"there is no run {unknown[0]!r}; there are {', '.join(TITLES)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
