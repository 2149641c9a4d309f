"""What the tests of the embedded server ask the operating system."""

from __future__ import annotations

import os
import select
from pathlib import Path

import psycopg

FAST = {"fsync": "off", "shared_buffers": "16MB"}
PATIENCE = 20.0

OWNER = """
import os, sys, time
from pathlib import Path
from pgqueue.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), settings={"fsync": "off", "shared_buffers": "16MB"})
server.start()
print(server.url(), flush=True)
if "fork" in sys.argv and os.fork() == 0:
    time.sleep(600)
sys.stdin.read()
"""


def postmaster(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().split()[0])


def is_gone(pid: int) -> bool:
    """Wait for the end of a process that is not our child."""
    descriptor = os.pidfd_open(pid) if _exists(pid) else None
    if descriptor is None:
        return True
    try:
        return bool(select.select([descriptor], [], [], PATIENCE)[0])
    finally:
        os.close(descriptor)


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False
