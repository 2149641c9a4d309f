"""`python plots.py FILE`: draw the runs of a results file beside it, as one picture.

It runs in the environment of the peers, where matplotlib is, and imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

SIZES = {
    "processes": "worker processes",
    "backlog": "jobs in line before",
    "later": "jobs for another day",
    "finished": "finished rows kept",
    "queues": "other queues",
    "tenants": "organizations, fair",
    "payload": "bytes of arguments",
    "sources": "servers carried from",
    "enqueuers": "enqueuing connections",
}
TIMES = {"free": "free", "snapshot": "under a held snapshot"}


def main(path: Path) -> None:
    """Write FILE.png."""
    document = json.loads(path.read_text())
    runs: dict[str, Any] = document["runs"]
    drawn = [name for name in SIZES if name in runs]
    over_time = [name for name in TIMES if name in runs]
    count = len(drawn) + bool(over_time)
    figure, places = plt.subplots(-(-count // 3), 3, figsize=(13, 3.2 * -(-count // 3)), squeeze=False)
    every = iter(places.flat)
    for name in drawn:
        _by_size(next(every), name, runs)
    if over_time:
        place = next(every)
        for name in over_time:
            place.plot([s["at"] for s in runs[name]], [s["jobs_per_second"] for s in runs[name]], label=TIMES[name])
        _dressed(place, "seconds of full load")
        place.legend()
    for place in every:
        place.set_visible(False)
    machine = document["machine"]
    scaled = ", scaled" if document["scaled"] else ""
    figure.suptitle(f"per second; {machine['cores']} cores, {machine['processor']}, {document['date'][:10]}{scaled}")
    figure.tight_layout()
    figure.savefig(path.with_suffix(".png"), dpi=80)


def _by_size(place: Any, name: str, runs: dict[str, Any]) -> None:
    place.plot(
        *zip(*runs[name], strict=True), marker="o", label="wake-up after commit" if name == "enqueuers" else None
    )
    if name == "enqueuers" and "enqueuers_off" in runs:
        place.plot(*zip(*runs["enqueuers_off"], strict=True), marker="o", label="no wake-ups")
        place.legend()
    place.set_xscale("symlog", base=2 if name in ("processes", "enqueuers") else 10)
    _dressed(place, SIZES[name])


def _dressed(place: Any, title: str) -> None:
    place.set_title(title)
    place.set_ylim(0, place.get_ylim()[1] * 1.1)
    place.grid(alpha=0.3)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
