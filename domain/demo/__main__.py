"""`python -m domain.demo`: posts are scheduled, everything goes wrong, and in the end each is online once."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from alembic import command
from alembic.config import Config
from cryptography.fernet import Fernet

from domain.demo.checks import Check, check, figures
from domain.demo.facts import Facts
from domain.demo.play import OutOfTime, Stage, as_json, play
from domain.demo.processes import ROOT, Remote, Worker, stand_in, stop_all
from domain.demo.screen import Screen
from domain.demo.seed import fill
from pgqueue.embedded import temporary_server

if TYPE_CHECKING:
    from types import FrameType

WORKERS = 2
_LOG_TAIL = 3_000
_INTERRUPTED = 130


def main(
    *,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end until Enter.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="Print without colours.")] = False,
) -> None:
    """Run the whole product on a private temporary PostgreSQL. Exit code 0: every check held."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    screen = Screen(quiet=json, color=not no_color and "NO_COLOR" not in os.environ)
    try:
        with ExitStack() as stack:
            ok = _run(stack, screen, json=json)
            if keep:
                screen.say("everything is still running; press Enter to stop it")
                sys.stdin.readline()
    except KeyboardInterrupt:
        screen.say("interrupted; everything is stopped", style="yellow")
        raise SystemExit(_INTERRUPTED) from None
    raise SystemExit(0 if ok else 1)


def _run(stack: ExitStack, screen: Screen, *, json: bool) -> bool:
    started = time.monotonic()
    screen.say("a PostgreSQL of our own, two networks and a mail server")
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="pgqueue-demo-")))
    url = stack.enter_context(temporary_server()).url()
    network, shaky, mail = (stack.enter_context(stand_in(part)) for part in ("mastodon", "mastodon", "mail"))
    _replace_environment(_environment(url, mail))
    command.upgrade(Config(ROOT / "alembic.ini"), "heads")
    workers: list[Worker] = []
    stack.callback(stop_all, workers)
    workers += (Worker(f"worker {number}", folder / f"worker-{number}.log") for number in range(1, WORKERS + 1))
    screen.say(f"{WORKERS} workers: pids {', '.join(str(worker.process.pid) for worker in workers)}")
    total = asyncio.run(fill(network, shaky))
    screen.say(f"{total} posts are scheduled, each in a transaction of the domain; timeline: {network.url}")
    facts = stack.enter_context(Facts(url))
    stage = Stage(screen, facts, network, shaky, mail, workers, total)
    try:
        with screen:
            play(stage)
    except OutOfTime as error:
        _explain(screen, workers, str(error))
        return False
    checks = check(stage)
    return _conclude(screen, stage, checks, time.monotonic() - started, json=json)


def _conclude(screen: Screen, stage: Stage, checks: list[Check], seconds: float, *, json: bool) -> bool:
    ok = all(one.ok for one in checks)
    found = figures(stage)
    if json:
        listed = [one._asdict() for one in checks]
        sys.stdout.write(as_json({"ok": ok, "seconds": round(seconds, 1), "checks": listed} | found) + "\n")
        return ok
    for one in checks:
        screen.verdict(one.name, one.detail, ok=one.ok)
    for name, value in found.items():
        shown = " ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else value
        screen.show(f"{name.replace('_', ' ')}: {shown}")
    verdict = "every check held" if ok else "NOT every check held"
    screen.say(f"{verdict}, {seconds:.0f} s in all", style="bold green" if ok else "bold red")
    if not ok:
        _explain(screen, stage.workers, "see above")
    return ok


def _environment(url: str, mail: Remote) -> dict[str, str]:
    """What workers and use cases read; the keys live as long as the demo."""
    host, _, port = mail.url.removeprefix("smtp://").partition(":")
    return {
        "PGQUEUE_DATABASE_URL": url,
        "PGQUEUE_LEASE": "3s",
        "PGQUEUE_HEARTBEAT": "1s",
        "PGQUEUE_POLL": "1s",
        "PGQUEUE_DRAIN": "2s",
        "SMM_FERNET_KEYS": Fernet.generate_key().decode(),
        "SMM_FINGERPRINT_KEY": secrets.token_hex(16),
        "SMM_WEBHOOK_ALLOWED": "127.0.0.1",  # the networks are on this machine
        "SMM_SMTP_HOST": host,
        "SMM_SMTP_PORT": port,
        "SMM_SMTP_START_TLS": "false",
    }


def _explain(screen: Screen, workers: list[Worker], why: str) -> None:
    screen.say(why, style="bold red")
    for worker in workers:
        tail = worker.log.read_text("utf-8", "replace")[-_LOG_TAIL:]
        sys.stderr.write(f"--- {worker.name}, last lines ---\n{tail}\n")


def _replace_environment(ours: dict[str, str]) -> None:
    """Let nothing that is set for another installation reach the demo."""
    for name in [name for name in os.environ if name.startswith(("PGQUEUE_", "SMM_"))]:
        del os.environ[name]
    os.environ.update(ours)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # once is enough: the rest is tidying up
    raise KeyboardInterrupt


if __name__ == "__main__":
    typer.run(main)
