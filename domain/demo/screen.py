"""What the user sees: a live table on a terminal, plain lines elsewhere, nothing but the result with --json."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN_EVERY = 1.0
_ORDER = ("scheduled", "dispatched", "publishing", "published", "failed", "unconfirmed")


class Screen:
    """Tells what happens, as it happens."""

    def __init__(self, *, quiet: bool, color: bool) -> None:
        self.quiet = quiet
        self.console = Console(no_color=not color, highlight=False, quiet=quiet, soft_wrap=True)
        self.live = Live(console=self.console, refresh_per_second=8, transient=True) if self._is_live() else None
        self._started = time.monotonic()
        self._last = (0.0, "")

    def _is_live(self) -> bool:
        return not self.quiet and sys.stdout.isatty()

    def __enter__(self) -> Self:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()

    def say(self, what: str, *, style: str = "") -> None:
        """Print one line with the time since the start."""
        line = Text(f"{time.monotonic() - self._started:5.1f} s  ")
        line.append(what, style=style)
        self.console.print(line)
        sys.stdout.flush()

    def show(self, text: str) -> None:
        """Print a block as it is."""
        self.console.print(Text(text, style="dim"))

    def progress(self, posts: Mapping[str, int], jobs: Mapping[str, int], total: int) -> None:
        """Show how far the posts and the jobs are."""
        done = posts.get("published", 0)
        if self.live is not None:
            self.live.update(_picture(posts, jobs, done, total))
            return
        line = f"posts {_counts(posts, _ORDER)} | jobs {_counts(jobs, tuple(sorted(jobs)))}"
        now = time.monotonic()
        if line != self._last[1] and now - self._last[0] >= _PLAIN_EVERY:
            self._last = (now, line)
            self.say(line, style="dim")

    def verdict(self, name: str, detail: str, *, ok: bool) -> None:
        """Print one line of the final summary."""
        line = Text("  ✔ " if ok else "  ✘ ", style="green" if ok else "bold red")
        line.append(f"{name:52}", style="default")
        line.append(detail, style="dim")
        self.console.print(line)


def _counts(found: Mapping[str, int], order: tuple[str, ...]) -> str:
    return " ".join(f"{name}={found[name]}" for name in order if found.get(name)) or "-"


def _picture(posts: Mapping[str, int], jobs: Mapping[str, int], done: int, total: int) -> Table:
    table = Table(box=None, padding=(0, 2), show_header=False)
    table.add_row("posts", _counts(posts, _ORDER))
    table.add_row("jobs", _counts(jobs, tuple(sorted(jobs))))
    table.add_row("", ProgressBar(total=total, completed=done, width=60))
    return table
