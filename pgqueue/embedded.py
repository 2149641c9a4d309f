"""A real PostgreSQL of one's own: `embedded:` for tests, demonstrations and first steps.

The server ends with the process that started it, however that ends (`embedded_process` says how). Its folder
holds `data/` (the database), `run/` (the private socket folder), `server.log` and `lock`.
"""

from __future__ import annotations

import atexit
import contextlib
import enum
import fcntl
import os
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlencode

from pgqueue.embedded_binaries import (
    Account,
    find_binaries,
    first_closed_folder,
    memory_folder,
    public_temporary_folder,
    server_account,
)
from pgqueue.embedded_process import Guarded, StopMode, last_words, run
from pgqueue.errors import EmbeddedFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["EmbeddedServer", "embedded_url", "is_embedded", "temporary_server"]

SCHEME = "embedded:"
DEFAULT_FOLDER = ".pgqueue"
SUPERUSER = "postgres"
PORT = "5432"  # only part of the socket's name: nothing listens on the network
MAX_SOCKET_PATH = 99  # bytes; the kernels' limits are 104 (macOS) and 108 (Linux)
START_TIMEOUT = 60.0
DEFAULT_SETTINGS = {"timezone": "UTC", "log_timezone": "UTC", "shared_buffers": "128MB"}
# for data that nobody wants back after a power cut; a commit still waits for the WAL's write
THROWAWAY_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "256MB"}


class Probe(enum.Enum):
    """What is found in a data folder: no server, one that starts or stops, one that answers."""

    NONE = enum.auto()
    BUSY = enum.auto()
    READY = enum.auto()


class EmbeddedServer:
    """One PostgreSQL server in one folder; a second process with the same folder joins the running one."""

    def __init__(
        self,
        data_dir: Path,
        *,
        bin_dir: Path | None = None,
        settings: Mapping[str, str] | None = None,
        temporary: bool = False,
    ) -> None:
        """Touch nothing yet: everything happens in `start`. A ``temporary`` folder is not left by a killed owner."""
        self.folder = Path(data_dir).expanduser().absolute()
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.settings = DEFAULT_SETTINGS | dict(settings or {})
        self._temporary = temporary
        self._bin_dir = bin_dir
        self._guarded: Guarded | None = None
        self._sockets: Path | None = None
        self._temporary_sockets: Path | None = None

    def start(self) -> None:
        """Start the server and wait until it answers; join it if it runs already."""
        if self._sockets is not None:
            return
        account = server_account()
        binaries = find_binaries(self._bin_dir, account)
        self._prepare_folder(account)
        with self._locked():
            if not (self.data / "PG_VERSION").exists():
                self._initialise(binaries, account)
            self._start_or_join(binaries, account)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server if this object started it; `immediate` is a crash: the next start recovers."""
        guarded, self._guarded, self._sockets = self._guarded, None, None
        if guarded is not None:
            guarded.stop(mode)
        if self._temporary_sockets is not None:
            shutil.rmtree(self._temporary_sockets, ignore_errors=True)
            self._temporary_sockets = None

    def url(self, dbname: str = "postgres") -> str:
        """The address of a database of this server, for psycopg and (with `+psycopg`) for SQLAlchemy."""
        if self._sockets is None:
            message = "The embedded server is not running: call start() first."
            raise EmbeddedFailed(message)
        query = urlencode({"host": str(self._sockets), "port": PORT}, quote_via=quote, safe="/")
        return f"postgresql://{SUPERUSER}@/{quote(dbname, safe='')}?{query}"

    @property
    def owned(self) -> bool:
        """Whether this object started the server (and so will stop it)."""
        return self._guarded is not None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _prepare_folder(self, account: Account) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (self.folder / "PG_VERSION").exists():
                message = f"{self.folder} is another PostgreSQL's data folder: choose an empty one."
                raise EmbeddedFailed(message)
            if account.switched:
                os.chown(self.folder, account.uid, account.gid)
            (self.folder / ".gitignore").write_text("*\n")
        except OSError as error:
            message = f"The folder {self.folder} cannot be used for the embedded server: {error}"
            raise EmbeddedFailed(message) from error
        if closed := first_closed_folder(self.folder, account):
            message = (
                f"Started by root, the embedded server runs as {account.name!r}, who cannot enter {closed}: "
                f"name a folder it can reach, like {SCHEME}/var/lib/pgqueue, or run this as an ordinary user."
            )
            raise EmbeddedFailed(message)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time look at the folder and start what it does not find."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _initialise(self, binaries: Path, account: Account) -> None:
        """Make the data folder under another name first: a killed initdb leaves nothing half made."""
        for leftover in self.folder.glob("data.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix="data.new-", dir=self.folder))
        os.chown(fresh, account.uid, account.gid)
        command = [str(binaries / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "-E", "UTF8", "--locale=C"]
        command += ["--auth-local=trust", "--auth-host=reject", "--no-instructions"]
        if self.settings.get("fsync") == "off":
            command.append("--no-sync")
        done = run(command, account)
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            message = f"initdb failed in {self.folder}: {last_words(done.stderr or done.stdout)}"
            raise EmbeddedFailed(message)
        fresh.rename(self.data)

    def _start_or_join(self, binaries: Path, account: Account) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            probe, sockets = self._probe()
            if probe is Probe.READY:
                self._sockets = sockets
                return
            if probe is Probe.NONE and self._spawn(binaries, account, deadline):
                return
            if time.monotonic() > deadline:
                message = f"The server in {self.folder} neither starts nor stops: see {self.log}."
                raise EmbeddedFailed(message)
            time.sleep(0.05)

    def _probe(self) -> tuple[Probe, Path]:
        """Ask the server that the data folder names; after a crash it names one that does not answer."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return Probe.NONE, self.folder
        if len(lines) < 5 or not lines[4]:  # noqa: PLR2004 - the fifth line is the socket folder, in every version
            return Probe.NONE, self.folder
        sockets = Path(lines[4])
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(sockets / f".s.PGSQL.{PORT}"))
            except OSError:
                return Probe.NONE, sockets
        ready = len(lines) > 7 and lines[7].strip() == "ready"  # noqa: PLR2004 - the eighth line is the state
        return (Probe.READY if ready else Probe.BUSY), sockets

    def _spawn(self, binaries: Path, account: Account, deadline: float) -> bool:
        """Start the server; False when an earlier one is still on its way out of the data folder."""
        sockets = self._socket_folder(account)
        settings = self.settings | {
            "listen_addresses": "",
            "unix_socket_directories": str(sockets),
            "unix_socket_permissions": "0700",
            "port": PORT,
        }
        command = [str(binaries / "postgres"), "-D", str(self.data)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        written = self.log.stat().st_size if self.log.exists() else 0
        guarded = Guarded(command, account, self.log, self.folder if self._temporary else None)
        try:
            ready = self._wait_until_ready(guarded, written, deadline)
        except BaseException:
            guarded.stop("immediate")
            raise
        if ready:
            self._guarded, self._sockets = guarded, sockets
        return ready

    def _wait_until_ready(self, guarded: Guarded, written: int, deadline: float) -> bool:
        while not guarded.ended:
            if self._probe()[0] is Probe.READY:
                return True
            if time.monotonic() > deadline:
                message = f"The embedded server did not answer within {START_TIMEOUT:.0f} s: see {self.log}."
                raise EmbeddedFailed(message)
            time.sleep(0.01)
        said = self.log.read_bytes()[written:]
        if b'"postmaster.pid" already exists' in said:
            return False
        message = f"The embedded server in {self.folder} did not start: {last_words(said)}"
        raise EmbeddedFailed(message)

    def _socket_folder(self, account: Account) -> Path:
        """`run/` beside the data, or a private temporary folder where that path is too long for a socket."""
        sockets = self.folder / "run"
        name = os.fsencode(sockets / f".s.PGSQL.{PORT}")
        if len(name) > MAX_SOCKET_PATH or any(mark in str(sockets) for mark in ',"'):
            sockets = Path(tempfile.mkdtemp(prefix="pgqueue-", dir=public_temporary_folder(account)))
            self._temporary_sockets = sockets
        else:
            sockets.mkdir(mode=0o700, exist_ok=True)
        if account.switched:
            os.chown(sockets, account.uid, account.gid, follow_symlinks=False)
        return sockets


@contextlib.contextmanager
def temporary_server(
    *, bin_dir: Path | None = None, settings: Mapping[str, str] | None = None, durable: bool = True
) -> Iterator[EmbeddedServer]:
    """Run a server in a private temporary folder and remove both at the end, however this process ends.

    What is not ``durable`` is lost in a power cut and lies in memory where there is room: databases of tests are
    copied ten times faster there.
    """
    account = server_account()
    parent = public_temporary_folder(account)
    if not durable:
        parent = memory_folder(account) or parent
        settings = THROWAWAY_SETTINGS | dict(settings or {})
    folder = Path(tempfile.mkdtemp(prefix="pgqueue-", dir=parent))
    try:
        with EmbeddedServer(folder, bin_dir=bin_dir, settings=settings, temporary=True) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_servers: dict[Path, EmbeddedServer] = {}
_servers_lock = threading.Lock()


def is_embedded(url: str) -> bool:
    """Whether this is `embedded:` or `embedded:/path` and not the address of a server."""
    return url.startswith(SCHEME)


def embedded_url(where: str | Path | None = None) -> str:
    """The real URL behind `embedded:` or `embedded:/path`: starts the server there, or joins it.

    A server started here stops when this process ends. Without a path it lives in `.pgqueue/` here.
    """
    path = str(where or "").removeprefix(SCHEME).removeprefix("//")
    folder = Path(path or DEFAULT_FOLDER).expanduser().absolute()
    with _servers_lock:
        server = _servers.get(folder)
        if server is None:
            server = EmbeddedServer(folder)
            server.start()
            atexit.register(server.stop)
            _servers[folder] = server
    return server.url()
