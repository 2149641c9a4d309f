"""`python -m benchmarks`: measure, print, write the results file."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from rich.console import Console

from benchmarks import environment, servers
from benchmarks.catalogue import ENTRANTS
from benchmarks.figures import as_document
from benchmarks.measure import measure
from benchmarks.processes import Failed
from benchmarks.report import show

if TYPE_CHECKING:
    from benchmarks.catalogue import Entrant
    from benchmarks.figures import Rounds
    from pgqueue.embedded import EmbeddedServer

_QUICK_SHARE, _QUICK_SECONDS = 0.2, 280.0
RESULTS = environment.HERE / "results"
"""Where results are written."""


def main() -> int:
    """Return 0 also where a peer is faster: that is a result."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all that was started is ended
    failed = environment.install("setting up benchmarks/.venv (once)")
    chosen = [e for e in ENTRANTS if not options.only or any(map(e.is_called, options.only))]
    if options.share < 1:
        chosen = [entrant.scaled(options.share) for entrant in chosen]
    not_measured = {e.name: f"not installed: {failed[e.package]}" for e in chosen if e.package in failed}
    rounds: Rounds = {}
    with servers.postgresql() as server:
        about: dict[str, Any] = {
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": _versions(),
            "postgresql": servers.describe(server),
            "redis": {"version": servers.redis_version(), "options": " ".join(servers.REDIS)},
            "jobs": {entrant.name: entrant.jobs for entrant in chosen},
            "settings": {},
            "not_measured": not_measured,
        }
        measure(ENTRANTS[0].scaled(_QUICK_SHARE), server)  # a server that just started is slow for whoever comes first
        _rounds(chosen, options, server, rounds, about)
    _say("")
    scaled = options.share < 1
    show(Console(width=None if sys.stdout.isatty() else 110), rounds, about, scaled=scaled)
    _write(json.dumps(as_document(rounds, about, scaled=scaled), indent=1) + "\n", options, about["date"])
    return 0


def _rounds(
    chosen: list[Entrant], options: argparse.Namespace, server: EmbeddedServer, rounds: Rounds, about: dict[str, Any]
) -> None:
    """Measure everybody, again and again; quick runs begin no round that would not end in time."""
    began = time.monotonic()
    for number in range(options.rounds):
        if options.quick and (time.monotonic() - began) * (number + 1) / max(number, 1) > _QUICK_SECONDS:
            break
        turn = number % len(chosen)  # nobody always follows the same one
        for entrant in chosen[turn:] + chosen[:turn]:
            if entrant.name not in about["not_measured"]:
                _say(f"round {number + 1} of {options.rounds}: {entrant.name}")
                _measure(entrant, server, rounds, about)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    parser.add_argument("--share", type=float, default=1.0, help="scale how many jobs; below 1 is marked as scaled")
    parser.add_argument("--quick", action="store_true", help="scaled sizes, the rounds that end in 5 minutes")
    parser.add_argument("--only", type=_words, default=[], metavar="A,B", help="rows, packages or modules to measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    if unknown := [word for word in options.only if not any(e.is_called(word) for e in ENTRANTS)]:
        parser.error(f"nothing is called {unknown[0]}; there are {', '.join(sorted({e.module for e in ENTRANTS}))}")
    if options.quick:
        options.share = _QUICK_SHARE
    return options


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _measure(entrant: Entrant, server: EmbeddedServer, rounds: Rounds, about: dict[str, Any]) -> None:
    """Add what was measured; one that fails is told and measured no more."""
    try:
        figures, settings = measure(entrant, server)
    except (Failed, FileNotFoundError, psycopg.Error) as error:
        about["not_measured"][entrant.name] = str(error)
        rounds.pop(entrant.name, None)
        return
    rounds.setdefault(entrant.name, []).append(figures)
    about["settings"][entrant.name] = settings | {"jobs": entrant.jobs}


def machine() -> dict[str, str | int]:
    """Return what the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count() or 0,
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def _versions() -> dict[str, str]:
    measured = {entrant.package for entrant in ENTRANTS if entrant.package}
    pinned = {name: pin for name, pin in environment.pins().items() if name in measured}
    return {"pgqueue": version("pgqueue-jobs"), "psycopg": version("psycopg"), **pinned}


def _say(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K{text}")
        sys.stderr.flush()
    elif text:
        sys.stderr.write(text + "\n")


def _write(document: str, options: argparse.Namespace, date: str) -> None:
    kind = "scaled" if options.share < 1 else "full"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{date[:16].replace(':', '')}-{kind}.json").write_text(document)
    if options.json:
        options.json.write_text(document)


if __name__ == "__main__":
    sys.exit(main())
