"""The folder of a run, and those that killed runs have left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "pgqueue-demo-"


@contextmanager
def own_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder that goes with us; a demo that was killed (``kill -9``) could not remove its own, so we do."""
    parent = parent or Path(tempfile.gettempdir())
    for left in parent.glob(f"{_PREFIX}*"):
        if _is_left_behind(left):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent) as folder:
        yield Path(folder)


def _is_left_behind(folder: Path) -> bool:
    """Tell whether it is ours and the process that its name says is gone; a process with the same number keeps it."""
    pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
    if not (pid.isascii() and pid.isdigit()) or folder.is_symlink():
        return False
    try:
        ours = folder.stat().st_uid == os.getuid()
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return ours
    except (OSError, OverflowError):
        return False
    return False
