"""One run of the demo: everything is opened, played, looked at and closed."""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import sys
import time
from dataclasses import fields
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from cryptography.fernet import Fernet

from domain.composition import open_application
from domain.demo.checks import Check, check
from domain.demo.facts import Facts, Outside
from domain.demo.folders import own_folder
from domain.demo.memory import Memory
from domain.demo.processes import ROOT, Supervisor, stand_ins
from domain.demo.seed import fill
from domain.demo.stage import OutOfTime, Stage
from domain.demo.summary import MEBIBYTE, Played, Summary, figures
from domain.standins import StripeStandIn
from pgqueue.embedded import temporary_server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from domain.demo.processes import Remote
    from domain.demo.scene import Scene
    from domain.demo.screen import Screen

PARTS = ("mastodon", "mastodon", "bluesky", "instagram", "linkedin", "mail", "clamd", "stripe", "receiver")
"""In the order of the fields of `Outside`."""
MOST_MEMORY = 1 << 30
_SERVER = {"shared_buffers": "32MB", "fsync": "off"}  # the database ends with the demo
_LOG_TAIL = 3_000


class Demo:
    """Opens everything; the exit stack closes it."""

    def __init__(self, stack: ExitStack, screen: Screen) -> None:
        self.screen = screen
        self.started = time.monotonic()
        self.memory = stack.enter_context(Memory())
        screen.say("a PostgreSQL of our own, four networks, and what else there is outside")
        self.folder = stack.enter_context(own_folder())
        self.url = stack.enter_context(temporary_server(settings=_SERVER)).url()
        self.outside: Outside[Remote] = Outside(*stack.enter_context(stand_ins(PARTS)))
        objects = self.folder / "objects"
        variables = _environment(self.url, self.outside, objects)
        self.variables = self.folder / "variables.sh"
        self.variables.write_text("".join(f"export {name}={shlex.quote(each)}\n" for name, each in variables.items()))
        _replace_environment(variables)
        command.upgrade(Config(ROOT / "alembic.ini"), "heads")
        self.supervisor = Supervisor(self.folder / "workers.log")
        stack.callback(self.supervisor.stop)
        screen.say(f"supervisor: pid {self.supervisor.process.pid}")
        self.facts = stack.enter_context(Facts(self.url, self.outside, objects))

    def places(self) -> dict[str, str | dict[str, str]]:
        """Tell where everything is, and the switches of the stand-ins."""
        parts: dict[str, str | dict[str, str]] = {
            field.name: {"url": part.url, "control": part.control}
            for field in fields(self.outside)
            for part in (getattr(self.outside, field.name),)
        }
        return parts | {"database": self.url, "objects": str(self.facts.objects), "variables": str(self.variables)}

    def play(self, scenes: Sequence[Scene]) -> Summary:
        """Play, then look at everything once more. Raises `OutOfTime`."""
        try:
            played = asyncio.run(self._play(scenes))
        except OutOfTime:
            self.explain()
            raise
        # what held after its scene has to hold in the end as well: something may come late
        found = [Played(scene, seconds, scene.verdict(self.facts)) for scene, seconds in played]
        checks = [*check(self.facts), self._modest()]
        return Summary(found, checks, figures(self.facts), time.monotonic() - self.started, self.memory.peak)

    async def _play(self, scenes: Sequence[Scene]) -> list[tuple[Scene, float]]:
        played = []
        async with open_application() as app:
            tenants = await fill(app, self.outside)
            self.screen.say(f"three organizations, four people, eight accounts; timeline: {self.outside.mastodon.url}")
            stage = Stage(app, tenants, self.outside, self.facts, self.screen, self.url)
            self.screen.announce(scenes)
            self.screen.say("the workers start")
            await stage.until("the workers", lambda: self.facts.rows("SELECT FROM pgqueue.workers"))
            with self.screen:
                for scene in scenes:
                    self.screen.begin(scene, self.facts.posts(), self.facts.jobs())
                    await scene.play(stage)
                    self.screen.progress(self.facts.posts(), self.facts.jobs())
                    found = scene.verdict(self.facts)
                    played.append((scene, self.screen.end(ok=all(one.ok for one in found))))
        return played

    def _modest(self) -> Check:
        peak = self.memory.peak
        detail = f"{peak / MEBIBYTE:.0f} MiB, all processes together" if peak else "this system does not tell"
        return Check("at most 1 GiB of memory in all", peak <= MOST_MEMORY, detail)

    def explain(self) -> None:
        """Show the last words of the workers."""
        tail = self.supervisor.log.read_text("utf-8", "replace")[-_LOG_TAIL:]
        sys.stderr.write(f"--- the workers' last lines ---\n{tail}\n")


def _environment(url: str, outside: Outside[Remote], objects: Path) -> dict[str, str]:
    """What workers and use cases read; the keys live as long as the demo."""
    host, _, port = outside.mail.url.removeprefix("smtp://").partition(":")
    return {
        "PGQUEUE_DATABASE_URL": url,
        "PGQUEUE_LEASE": "3s",
        "PGQUEUE_HEARTBEAT": "1s",
        "PGQUEUE_POLL": "1s",
        "PGQUEUE_DRAIN": "2s",
        "PGQUEUE_MAX_PROCESSES": "3",  # one for each group of queues
        "SMM_FERNET_KEYS": Fernet.generate_key().decode(),
        "SMM_FINGERPRINT_KEY": secrets.token_hex(16),
        "SMM_SMTP_HOST": host,
        "SMM_SMTP_PORT": port,
        "SMM_SMTP_START_TLS": "false",
        "SMM_STORAGE_DIRECTORY": str(objects),
        "SMM_CLAMD_ADDRESS": outside.clamd.url,
        "SMM_STRIPE_URL": outside.stripe.url,
        "SMM_STRIPE_API_KEY": StripeStandIn.api_key,
        "SMM_STRIPE_WEBHOOK_SECRET": StripeStandIn.webhook_secret,
        # the receiver is on this machine; every other private address stays out of reach
        "SMM_WEBHOOK_ALLOWED": "127.0.0.1",
    }


def _replace_environment(ours: dict[str, str]) -> None:
    """Let nothing that is set for another installation reach the demo."""
    for name in [name for name in os.environ if name.startswith(("PGQUEUE_", "SMM_"))]:
        del os.environ[name]
    os.environ.update(ours)
