"""The policy keywords that put a kind of job into a child process, and what it may use there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pgqueue.duration import Duration, duration
from pgqueue.errors import ConfigurationError
from pgqueue.size import size

PROCESS = "process"
_LEAST_CPU = timedelta(seconds=1)  # the kernel counts in seconds


def isolation(name: str, executor: str | None, memory: str | None, cpu: Duration | None) -> dict[str, Any]:
    """Read ``executor``, ``memory`` and ``cpu`` (None: not given) of a class.

    Raises:
        TypeError: an executor that does not exist.
        ConfigurationError: limits that cannot be.

    """
    if executor not in {None, PROCESS}:
        raise TypeError(
            f'{name} executor is {executor!r}; write executor="process", or leave it out: '
            "`async def run` is awaited, `def run` goes to a thread"
        )
    used = None if cpu is None else duration(cpu, what=f"{name} cpu")
    if used is not None and used < _LEAST_CPU:
        raise ConfigurationError(f'{name} cpu is {cpu!r}; processor time is counted in seconds, give "1s" or more')
    return {
        "executor": executor,
        "memory": None if memory is None else size(memory, what=f"{name} memory"),
        "cpu": used,
    }


def check_limits(name: str, executor: str | None, limits: dict[str, object]) -> None:
    """Refuse limits where nothing could hold them: threads of a process cannot be told apart.

    Raises:
        TypeError: a limit without ``executor="process"``.

    """
    given = sorted(limit for limit, value in limits.items() if value is not None)
    if given and executor != PROCESS:
        raise TypeError(f'{name} {given[0]} limits a child process; say executor="process" with it')
