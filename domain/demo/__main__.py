"""`python -m domain.demo`: eleven scenes in which everything goes wrong, and in the end nothing has."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from domain.demo import scenes
from domain.demo.running import Demo
from domain.demo.screen import Screen
from domain.demo.stage import OutOfTime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from domain.demo.scene import Scene

_INTERRUPTED = 130


def main(
    *,
    scene: Annotated[list[int] | None, typer.Option(help="Play this scene only; may be given more than once.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end until Ctrl-C.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="Print without colours.")] = False,
) -> None:
    """Play the whole product on a private temporary PostgreSQL. Exit code 0: every check held."""
    chosen = _chosen(scene or [])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    screen = Screen(quiet=json, color=not no_color and "NO_COLOR" not in os.environ)
    ok: bool | None = None
    try:
        with ExitStack() as stack:
            demo = Demo(stack, screen)
            ok = _play(demo, chosen, json=json, keep=keep)
            if keep:
                _wait(demo)
    except KeyboardInterrupt:
        screen.say("interrupted; everything is stopped", style="yellow")
        raise SystemExit(_INTERRUPTED if ok is None else not ok) from None
    raise SystemExit(not ok)


def _chosen(numbers: Sequence[int]) -> Sequence[Scene]:
    known = {one.number: one for one in scenes.SCENES}
    if unknown := [number for number in numbers if number not in known]:
        raise typer.BadParameter(f"there is no scene {unknown[0]}; there are {min(known)} to {max(known)}")
    return [known[number] for number in sorted(set(numbers))] or scenes.SCENES


def _play(demo: Demo, chosen: Sequence[Scene], *, json: bool, keep: bool) -> bool:
    try:
        summary = demo.play(chosen)
    except OutOfTime as error:
        demo.screen.say(str(error), style="bold red")
        sys.stderr.write(f"{error}\n")
        return False
    if json:
        sys.stdout.write(summary.as_json({"running": demo.places()} if keep else {}) + "\n")
        sys.stdout.flush()
    summary.tell(demo.screen, demo.outside.mastodon.url)
    if not summary.ok:
        demo.explain()
    return summary.ok


def _wait(demo: Demo) -> None:
    demo.screen.say("everything is still running until Ctrl-C:")
    for name, place in demo.places().items():
        shown = f"{place['url']:28} switches {place['control']}" if isinstance(place, dict) else place
        demo.screen.show(f"  {name:10} {shown}")
    demo.screen.show(f"in another shell: . {demo.variables}; .venv/bin/python -m domain.http; .venv/bin/pgqueue jobs")
    demo.screen.show(f"mails that came: curl {demo.outside.mail.control}/state")
    threading.Event().wait()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # once is enough: the rest is tidying up
    raise KeyboardInterrupt


if __name__ == "__main__":
    typer.run(main)
