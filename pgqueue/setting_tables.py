"""Tables of the configuration: one for each queue, and one for how a host is supervised."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pgqueue.duration import Seconds

PRIORITIES = ("high", "normal", "low")


class QueueSettings(BaseModel):
    """One queue: when it is served, how much of a host it may use, how long its jobs may run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    priority: Literal["high", "normal", "low"] = "normal"
    workers: int | None = Field(default=None, ge=1, le=1000)
    """Jobs of this queue that run at once on one host. None: as many as there are slots."""
    order: Literal["fifo", "fair"] = "fifo"
    """"fair": organizations share the queue, however many jobs one of them has in front."""
    timeout: Seconds = timedelta(seconds=90)
    """How long a job of this queue may run, unless its class says otherwise."""
    retain: Seconds | None = None
    """How long completed jobs are kept, unless the class says otherwise. None: 1 hour."""
    retain_cancelled: Seconds | None = None
    """The same for cancelled ones. None: 7 days."""
    retain_discarded: Seconds | None = None
    """The same for discarded ones. None: 7 days."""
    retain_dead: Seconds | None = Field(default=None, gt=timedelta(0))
    """The same for dead letters. None: until somebody handles them."""


class SuperviseSettings(BaseModel):
    """How `pgqueue supervise` uses a host: how many processes, which queues each serves, when one is replaced."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    balance: Literal["off", "simple", "auto"] = "off"
    """off: every process serves all queues; simple: processes are divided evenly; auto: by load."""
    groups: tuple[tuple[str, ...], ...] | None = None
    """Queues that share their processes, in their order of priority. None: each queue for itself."""
    min_processes: int = Field(default=1, ge=1, le=256)
    """With auto: processes that every group keeps."""
    max_processes: int | None = Field(default=None, ge=1, le=256)
    """Processes of this host in all. None: one for each processor, and what the groups need."""
    strategy: Literal["time", "size"] = "time"
    """What auto calls load: the time to clear a queue, or the number of its jobs."""
    cooldown: Seconds = Field(default=timedelta(seconds=3), ge=timedelta(milliseconds=50))
    """With auto: the least time between two moves."""
    max_jobs: int | None = Field(default=None, ge=1)
    """Jobs after which a process is replaced."""
    max_memory_mb: int | None = Field(default=None, ge=16)
    """Resident memory of a process above which it is replaced."""
    max_lifetime: Seconds | None = Field(default=None, ge=timedelta(seconds=1))
    """Age at which a process is replaced."""
