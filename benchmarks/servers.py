"""The servers that all share: one PostgreSQL and one Redis, both durable, both on Unix sockets."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from pgqueue.embedded import temporary_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pgqueue.embedded import EmbeddedServer

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "max_connections": "200",
}
REDIS = ("--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
_CHANGED = """
SELECT name, current_setting(name) FROM pg_settings
WHERE setting IS DISTINCT FROM boot_val AND source NOT IN ('default', 'override', 'client', 'environment variable')
  AND name NOT IN ('listen_addresses', 'unix_socket_directories', 'unix_socket_permissions', 'port')
  AND name NOT LIKE 'lc_%'
ORDER BY name
"""
_NAME = "benchmark"


@contextlib.contextmanager
def postgresql() -> Iterator[EmbeddedServer]:
    """Run the wheel's server for as long as it is measured."""
    with temporary_server(settings=SETTINGS) as server:
        yield server


def describe(server: EmbeddedServer) -> dict[str, str]:
    """Return its version, what makes it durable, and each setting that differs from PostgreSQL's default."""
    with psycopg.connect(server.url(), autocommit=True) as conn:
        said = {name: _setting(conn, name) for name in ("server_version", "fsync", "synchronous_commit")}
        return said | dict(conn.execute(_CHANGED).fetchall())


def _setting(conn: psycopg.Connection[Any], name: str) -> str:
    row = conn.execute("SELECT current_setting(%s)", [name]).fetchone()
    return str(row[0]) if row else ""


@contextlib.contextmanager
def empty_database(server: EmbeddedServer) -> Iterator[str]:
    """Make a database, give its address, drop it: no queue sees what another left behind."""
    name = sql.Identifier(_NAME)
    with psycopg.connect(server.url(), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(name))
        conn.execute("CHECKPOINT")
        try:
            yield server.url(_NAME)
        finally:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def analyse(url: str) -> None:
    """Do what autovacuum would have done by now, for everybody."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE")


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[Path]:
    """Run Debian's Redis in a new folder.

    Raises:
        FileNotFoundError: there is none.

    """
    program = shutil.which("redis-server")
    if program is None:
        raise FileNotFoundError("no redis-server (Debian: apt install redis-server)")
    socket = folder / "redis.sock"
    command = [program, *REDIS, "--unixsocket", str(socket), "--dir", str(folder), "--loglevel", "warning"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own command line
        try:
            end = time.monotonic() + 10
            while not socket.exists() and process.poll() is None and time.monotonic() < end:
                time.sleep(0.01)
            yield socket
        finally:
            process.terminate()


def redis_version() -> str:
    """Return what `redis-server --version` says, or nothing."""
    program = shutil.which("redis-server")
    if program is None:
        return ""
    said = subprocess.run([program, "--version"], check=False, capture_output=True, text=True)  # noqa: S603 - from the PATH
    return said.stdout.split("v=")[-1].split()[0]
