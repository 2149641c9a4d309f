"""Settings: flag over run-time override over environment over code. All faults are told at once."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pgqueue.alerts import Alerts
from pgqueue.duration import Seconds
from pgqueue.errors import ConfigurationError
from pgqueue.secret import Secrets
from pgqueue.size import Bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVIRONMENT = {
    "PGQUEUE_DATABASE_URL": "database_url",
    "PGQUEUE_SCHEMA": "schema_name",
    "PGQUEUE_LEASE": "lease",
    "PGQUEUE_HEARTBEAT": "heartbeat",
    "PGQUEUE_POLL": "poll",
    "PGQUEUE_CONCURRENCY": "concurrency",
    "PGQUEUE_TIME_SCALE": "time_scale",
    "PGQUEUE_DRAIN": "drain",
    "PGQUEUE_LOG_LEVEL": "log_level",
    "PGQUEUE_POOLER": "pooler",
    "PGQUEUE_SOURCES": "sources",
}
"""Every variable that is read, and the setting it gives."""

PRIORITIES = ("high", "normal", "low")


class QueueSettings(BaseModel):
    """One queue: when it is served, how much of a host it may use, how long its jobs may run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    priority: Literal["high", "normal", "low"] = "normal"
    workers: int | None = Field(default=None, ge=1, le=1000)
    """Jobs of this queue that run at once on one host. None: as many as there are slots."""
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


class Settings(BaseModel):
    """Everything that can be set. ``Settings()`` takes the environment's values where the code gives none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: str | None = None
    """``postgresql://…`` (or ``postgresql+psycopg://…``), or ``embedded:`` for the built-in server."""
    schema_name: str = Field(default="pgqueue", pattern=r"^[a-z_][a-z0-9_]{0,40}$")
    queues: dict[str, QueueSettings] = Field(default_factory=lambda: {"default": QueueSettings()})
    lease: Seconds = timedelta(seconds=30)
    """How long a claim is good without a heartbeat."""
    heartbeat: Seconds = timedelta(seconds=10)
    poll: Seconds = timedelta(seconds=5)
    """How often a worker looks although nothing woke it."""
    drain: Seconds = timedelta(seconds=30)
    """How long running jobs may take to end after SIGTERM before they are given back."""
    concurrency: int = Field(default=20, ge=1, le=10_000)
    """Jobs that run at once in one process."""
    time_scale: float = Field(default=1.0, gt=0, le=100_000)
    """For demonstrations: backoff and snooze are divided by it."""
    max_crashes: int = Field(default=3, ge=1, le=100)
    """Processes a job may take down, in a row, before it is buried."""
    max_stuck: int = Field(default=10, ge=1, le=1_000)
    """Runs that go on although they were told to end, before the process gives its jobs back and ends."""
    child_jobs: int = Field(default=1_000, ge=1, le=1_000_000)
    """Jobs that a child process runs before a new one takes its place."""
    child_memory: Bytes = 512 * 1024**2
    """What a child process may hold after a job before a new one takes its place."""
    max_payload_bytes: int = Field(default=262_144, ge=64, le=8_388_608)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    alerts: Alerts | None = Field(default_factory=Alerts)
    """What is watched and who is told; None: nobody."""
    pooler: bool = False
    """The database is behind a transaction pooler: no prepared statements."""
    sources: dict[str, str] = Field(default_factory=dict, repr=False)
    """Other databases whose outbox is carried into this queue: name and URL. In the environment: ``a=URL b=URL``."""
    default_organization_id: str | None = None
    """For an application without tenants: said once here instead of on each job."""
    default_user_id: str | None = None
    secret_names: tuple[str, ...] = ()
    """Field names that hold secrets, beside those that are known: refused at enqueue, masked in what is shown."""
    secret_patterns: tuple[str, ...] = ()
    """Regular expressions of secrets, beside those that are known."""

    def __init__(self, *, environment: Mapping[str, str] | None = None, **given: Any) -> None:
        """Put the environment over what the code gives. Raises ConfigurationError naming every fault."""
        try:
            super().__init__(**(given | from_environment(os.environ if environment is None else environment)))
        except ValidationError as error:
            raise ConfigurationError(_all_faults(error)) from None

    @field_validator("queues", mode="before")
    @classmethod
    def _names(cls, queues: object) -> object:
        import re

        for name in queues if isinstance(queues, dict) else ():
            if not re.fullmatch(r"[a-z0-9][a-z0-9_.:-]{0,62}", str(name)):
                raise ValueError(
                    f"queue name {name!r}: take 1 to 63 of a-z 0-9 _ . : -, beginning with a letter or digit"
                )
        return queues

    @field_validator("sources", mode="before")
    @classmethod
    def _pairs(cls, sources: object) -> object:
        if not isinstance(sources, str):
            return sources
        pairs = [pair.partition("=") for pair in sources.split()]
        if not all(name and url for name, _, url in pairs):
            raise ValueError("write name=postgresql://… for each source, with a space between two of them")
        return {name: url for name, _, url in pairs}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.heartbeat * 2 > self.lease:
            raise ValueError("heartbeat must be at most half of lease, or one late beat loses every job")
        return self

    @field_validator("secret_patterns")
    @classmethod
    def _patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        try:
            Secrets(patterns=patterns)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None  # pydantic collects ValueErrors
        return patterns

    @property
    def secrets(self) -> Secrets:
        """What counts as a secret here."""
        return Secrets(frozenset(self.secret_names), self.secret_patterns)

    def changed(self, **given: Any) -> Settings:
        """Return these settings with flags put over them (None: not given)."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        flags = {name: value for name, value in given.items() if value is not None}
        return Settings(environment={}, **(values | flags))


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Pick the settings that the environment gives (an empty variable gives none)."""
    return {name: environment[variable] for variable, name in ENVIRONMENT.items() if environment.get(variable)}


def _all_faults(error: ValidationError) -> str:
    faults = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"]) or "settings"
        variable = next((v for v, name in ENVIRONMENT.items() if name == where and os.environ.get(v)), None)
        secret = where.startswith(("database_url", "sources", "alerts."))  # may be, or be beside one
        shown = "" if secret else f" (is {fault['input']!r})"
        faults.append(f"{where}{f' (from {variable})' if variable else ''}: {fault['msg']}{shown}")
    return f"{len(faults)} fault(s) in the settings: " + "; ".join(faults)
