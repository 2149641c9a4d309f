"""What one run may use of memory and processor time, and how much a process holds. Soft limits: raised again after."""

from __future__ import annotations

import contextlib
import math
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue.policy import Policy


@contextlib.contextmanager
def limited(policy: Policy) -> Iterator[None]:
    """Hold the limits of a kind while one of its jobs runs.

    Memory counts from what the process has now: more makes allocations fail (MemoryError). Beyond ``cpu`` the kernel
    ends the process with SIGXCPU.
    """
    before = {}
    if policy.memory is not None and (data := _data_bytes()) is not None:
        before[resource.RLIMIT_DATA] = _lower(resource.RLIMIT_DATA, data + policy.memory)
    if policy.cpu is not None:
        before[resource.RLIMIT_CPU] = _lower(
            resource.RLIMIT_CPU, math.ceil(_cpu_seconds() + policy.cpu.total_seconds())
        )
    try:
        yield
    finally:
        for which, limits in before.items():
            resource.setrlimit(which, limits)


def held_bytes() -> int:
    """Return how much memory this process has in use; 0 where nobody says."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _lower(which: int, soft: int) -> tuple[int, int]:
    """Set a soft limit, never above the hard one; returns what stood there."""
    limits = resource.getrlimit(which)
    ceiling = [each for each in limits if each != resource.RLIM_INFINITY]
    resource.setrlimit(which, (min([soft, *ceiling]), limits[1]))
    return limits


def _data_bytes() -> int | None:
    """Return what the kernel counts against RLIMIT_DATA; None where it does not say (not Linux: no memory limit)."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return None


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
