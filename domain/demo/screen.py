"""What the user sees: a live table on a terminal, plain lines elsewhere, nothing but the result with --json."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from domain.demo.scene import Scene

_PLAIN_EVERY = 2.0
_POSTS = ("scheduled", "dispatched", "publishing", "processing", "published", "failed", "unconfirmed", "paused")
_JOBS = ("enqueued", "waiting", "ready", "running", "completed", "discarded", "dead")
_MARKS = {"": "·", "playing": "▸", "held": "✔", "broken": "✘"}
_STYLES = {"": "dim", "playing": "bold", "held": "green", "broken": "bold red"}


@dataclass(slots=True)
class _Line:
    """What the table says of one scene."""

    scene: Scene
    state: str = ""
    posts: str = ""
    jobs: str = ""
    began: float = 0.0
    seconds: float = 0.0


class Screen:
    """Tells what happens, as it happens."""

    def __init__(self, *, quiet: bool, color: bool) -> None:
        self.console = Console(no_color=not color, highlight=False, quiet=quiet, soft_wrap=True)
        is_live = not quiet and sys.stdout.isatty()
        self.live = Live(console=self.console, refresh_per_second=8, transient=True) if is_live else None
        self._lines: list[_Line] = []
        self._now: _Line | None = None
        self._started = time.monotonic()
        self._last = (0.0, "")
        self._base: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {})

    def __enter__(self) -> Self:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()

    def announce(self, scenes: Sequence[Scene]) -> None:
        """Say what is going to be played."""
        self._lines = [_Line(scene) for scene in scenes]

    def begin(self, scene: Scene, posts: Mapping[str, int], jobs: Mapping[str, int]) -> None:
        """Begin a scene; what there is already is not its own."""
        self._now = next(line for line in self._lines if line.scene is scene)
        self._now.state, self._now.began = "playing", time.monotonic()
        self._base = (posts, jobs)
        self.say(f"── {scene.number}. {scene.title}", style="bold")

    def end(self, *, ok: bool) -> float:
        """End the scene that is played and return its seconds."""
        line, self._now = self._now, None
        if line is None:
            return 0.0
        line.state, line.seconds = "held" if ok else "broken", time.monotonic() - line.began
        self._refresh()
        return line.seconds

    def say(self, what: str, *, style: str = "") -> None:
        """Print one line with the time since the start."""
        line = Text(f"{time.monotonic() - self._started:5.1f} s  ")
        line.append(what, style=style)
        self.console.print(line)
        sys.stdout.flush()

    def show(self, text: str) -> None:
        """Print a block as it is."""
        self.console.print(Text(text, style="dim"))

    def progress(self, posts: Mapping[str, int], jobs: Mapping[str, int]) -> None:
        """Show how far the posts and the jobs of this scene are."""
        more = [_more(now, base) for now, base in zip((posts, jobs), self._base, strict=True)]
        if self._now is not None:
            self._now.posts, self._now.jobs = _counts(more[0], _POSTS), _counts(more[1], _JOBS)
            self._now.seconds = time.monotonic() - self._now.began
        if self.live is not None:
            self._refresh()
            return
        line = f"posts {_counts(more[0], _POSTS)} | jobs {_counts(more[1], _JOBS)}"
        now = time.monotonic()
        if line != self._last[1] and now - self._last[0] >= _PLAIN_EVERY:
            self._last = (now, line)
            self.say(line, style="dim")

    def verdict(self, name: str, detail: str, *, ok: bool) -> None:
        """Print one line of the final summary."""
        line = Text("  ✔ " if ok else "  ✘ ", style="green" if ok else "bold red")
        line.append(f"{name:68}", style="default")
        line.append(detail, style="dim")
        self.console.print(line)

    def _refresh(self) -> None:
        if self.live is None:
            return
        table = Table(box=None, padding=(0, 2, 0, 0))
        for header in ("", "scene", "posts", "jobs", ""):
            table.add_column(header, style="dim" if header in ("posts", "jobs") else "", header_style="dim")
        for line in self._lines:
            style = _STYLES[line.state]
            title = Text(f"{line.scene.number:2} {line.scene.title}", style=style)
            seconds = f"{line.seconds:.1f} s" if line.state else ""
            table.add_row(Text(_MARKS[line.state], style=style), title, line.posts, line.jobs, seconds)
        self.live.update(table)


def _more(now: Mapping[str, int], base: Mapping[str, int]) -> dict[str, int]:
    return {name: count - base.get(name, 0) for name, count in now.items()}


def _counts(found: Mapping[str, int], order: tuple[str, ...]) -> str:
    return " ".join(f"{name}={found[name]}" for name in order if found.get(name, 0) > 0) or "-"
