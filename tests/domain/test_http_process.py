"""The API as an operator starts it: a process, a port, a signal."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography.fernet import Fernet

from tests.domain import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.domain.world import World

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


async def test_a_server_that_is_told_to_stop_finishes_what_was_begun(world: World, tmp_path: Path) -> None:
    environment = os.environ | {
        "PGQUEUE_DATABASE_URL": world.url,
        "SMM_FERNET_KEYS": Fernet.generate_key().decode(),
        "SMM_FINGERPRINT_KEY": "a key for the tests",
        "SMM_STORAGE_DIRECTORY": str(tmp_path / "served"),
    }
    path = f"/organizations/{world.tenant.organization_id}/media?filename=a.jpg"
    await asyncio.to_thread(_serve_and_stop, environment, path, await _a_session(world))
    assert len(await world.rows("SELECT id FROM smm.media")) == 1


def _serve_and_stop(environment: dict[str, str], path: str, session: str) -> None:
    command = [sys.executable, "-m", "domain.http", "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        url = next(found[0] for line in lines if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            health = client.get("/health")
            assert (health.json(), "server" in health.headers) == ({"status": "ok"}, False)
            headers = {"Authorization": f"Bearer {session}", "Content-Type": "image/jpeg"}
            answer = client.post(path, content=_stopping_in_the_middle(process), headers=headers)
            assert answer.status_code == 202, answer.text
            with pytest.raises(httpx.TransportError):
                client.get("/health")
        rest = "".join(lines)
        assert process.wait() == -signal.SIGTERM
    assert "Traceback" not in rest


def _stopping_in_the_middle(process: subprocess.Popen[str]) -> Iterator[bytes]:
    image = files.an_image()
    yield image[: 1 << 10]
    process.send_signal(signal.SIGTERM)
    yield image[1 << 10 :]


async def _a_session(world: World) -> str:
    """A session that is good in every process of this database: no key of ours is in it."""
    hashed = await world.app.identity.sign_in.passwords.hash("a password of theirs")
    await world.execute("UPDATE smm.users SET password_hash = :h WHERE id = :id", h=hashed, id=world.tenant.author_id)
    found = await world.app.identity.sign_in(
        world.tenant.context, email="author@aurora.example", password="a password of theirs"
    )
    return found.secret
