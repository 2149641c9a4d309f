"""Settings: flag over run-time override over environment over file over code. All faults are told at once."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from pgqueue import configuration
from pgqueue.alerts import Alerts
from pgqueue.configuration import Key, Layer
from pgqueue.duration import Seconds
from pgqueue.errors import ConfigurationError, InvalidSettings
from pgqueue.secret import Secrets, redact
from pgqueue.setting_tables import QueueSettings, SuperviseSettings
from pgqueue.size import Bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    "PGQUEUE_BALANCE": "supervise.balance",
    "PGQUEUE_MIN_PROCESSES": "supervise.min_processes",
    "PGQUEUE_MAX_PROCESSES": "supervise.max_processes",
}
"""Every variable that is read, and the setting it gives."""


class Settings(BaseModel):
    """Everything that can be set. ``Settings()`` takes what the environment and the file say over what the code says.

    Args:
        environment: the variables to read. Default: those of the process, and the file is looked for in the working
            directory and above it; with variables of your own only ``PGQUEUE_CONFIG`` among them names a file.
        file: the file to read instead, unless ``PGQUEUE_CONFIG`` names one.
        flags: what goes over all others.
        given: the settings that the code gives.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: str | None = None
    """``postgresql://…`` (or ``postgresql+psycopg://…``), or ``embedded:`` for the built-in server."""
    schema_name: str = Field(default="pgqueue", pattern=r"^[a-z_][a-z0-9_]{0,40}$")
    queues: dict[str, QueueSettings] = Field(default_factory=lambda: {"default": QueueSettings()})
    supervise: SuperviseSettings = Field(default_factory=SuperviseSettings)
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

    _sources: dict[Key, str] = PrivateAttr(default_factory=dict)
    _again: dict[str, Any] = PrivateAttr(default_factory=dict)
    _file: Path | None = PrivateAttr(default=None)

    def __init__(
        self,
        *,
        environment: Mapping[str, str] | None = None,
        file: Path | None = None,
        flags: Mapping[str, Any] | None = None,
        **given: Any,
    ) -> None:
        """Put the sources together. Raises InvalidSettings naming every fault of every source."""
        variables = os.environ if environment is None else environment
        found = configuration.nearest(Path.cwd() if environment is None else None, variables, file)
        layers = [Layer("code", _plain(given))]
        if found:
            layers.append(configuration.read(found))
        layers += [from_environment(variables), Layer("flag", dict(flags or {}))]
        values, sources = configuration.merge(layers)
        faults = [fault for layer in layers for fault in _faults(type(self), layer)]
        faulty = [configuration.in_tables(values, key) for key, _ in faults]
        told = [text for _, text in faults]
        sound = configuration.without(values, faulty)
        trial = self if not faults else type(self).__new__(type(self))
        try:
            self.__pydantic_validator__.validate_python(sound, self_instance=trial)
        except ValidationError as error:  # only what a model's own validator says is left
            left = [fault for fault in error.errors() if tuple(map(str, fault["loc"])) not in faulty]
            raise InvalidSettings([*told, *(_said(fault["msg"]) for fault in left)]) from None
        told += [
            text
            for keys, text in _contradictions(trial)
            if not any(bad == key[: len(bad)] for bad in faulty for key in keys)
        ]
        if told:
            raise InvalidSettings(told)
        self._sources, self._file = sources, found
        self._again = {"environment": environment, "file": file, "flags": flags, **given}

    @field_validator("queues", mode="before")
    @classmethod
    def _names(cls, queues: object) -> object:
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
        """Return these settings with flags put over them (None: not given), all sources read again."""
        flags = {name: value for name, value in given.items() if value is not None}
        above, _ = configuration.merge([Layer("flag", self._again["flags"] or {}), Layer("flag", flags)])
        return Settings(**(self._again | {"flags": above}))

    @property
    def file(self) -> Path | None:
        """The configuration file that was read."""
        return self._file

    def source_of(self, key: Key) -> str:
        """Say where a value came from: a file, a variable, code, flag or default."""
        return self._sources.get(key, "default")


def from_environment(environment: Mapping[str, str]) -> Layer:
    """Pick the settings that the environment gives (an empty variable gives none)."""
    values: dict[str, Any] = {}
    names: dict[Key, str] = {}
    for variable, name in ENVIRONMENT.items():
        if given := environment.get(variable):
            *tables, last = key = tuple(name.split("."))
            into = values
            for table in tables:
                into = into.setdefault(table, {})
            into[last] = given
            names[key] = variable
    return Layer("environment", values, names)


def _plain(value: Any) -> Any:
    """Return what was set, so that other sources can go over it key by key."""
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in value.model_fields_set}
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def _faults(model: type[Settings], layer: Layer) -> Iterator[tuple[Key, str]]:
    """Return what is wrong with each value of one source, whether or not another source is over it."""
    try:
        model.__pydantic_validator__.validate_python(dict(layer.values), self_instance=model.__new__(model))
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            key = tuple(str(part) for part in fault["loc"])
            if not key:
                continue  # a rule over several values is asked when all sources are put together
            source = layer.source_of(key)
            where = ".".join(key) + ("" if source == "code" else f" (from {source})")
            if fault["type"] == "extra_forbidden":
                yield key, f"{where}: unknown setting; {configuration.suggestion(key[-1], _known(key))}"
            else:
                shown = "" if key[0] in ("database_url", "sources", "alerts") else f" (is {_shown(fault['input'])})"
                yield key, f"{where}: {_said(fault['msg'])}{shown}"


def _said(message: str) -> str:
    """Return a fault without the words that pydantic puts before those of our own checks."""
    return message.removeprefix("Value error, ")


def _known(key: Key) -> list[str]:
    """Return the settings that may stand beside this one."""
    below: dict[str, type[BaseModel]] = {"queues": QueueSettings, "supervise": SuperviseSettings, "alerts": Alerts}
    return list(below.get(key[0] if len(key) > 1 else "", Settings).model_fields)


def _shown(value: object) -> str:
    text = redact(repr(value))
    return text if len(text) <= 100 else f"{text[:99]}…"  # noqa: PLR2004 - one line


def _contradictions(settings: Settings) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Return what cannot be true together, and of which values that is said."""
    if settings.heartbeat * 2 > settings.lease:
        yield (("heartbeat",), ("lease",)), "heartbeat must be at most half of lease, or one late beat loses every job"
    supervise = settings.supervise
    named = [queue for group in supervise.groups or () for queue in group]
    keys: tuple[Key, ...] = (("supervise", "groups"), ("queues",))
    for name in dict.fromkeys(named):
        if name not in settings.queues:
            yield keys, f"supervise.groups: unknown queue {name!r}; {configuration.suggestion(name, settings.queues)}"
        if named.count(name) > 1:
            yield keys, f"supervise.groups: the queue {name!r} stands in two groups; let one serve it"
    if missing := sorted(set(settings.queues) - set(named)) if supervise.groups is not None else []:
        yield keys, f"supervise.groups: no group serves {', '.join(missing)}; add them to one, or a group of their own"
    groups = len(settings.queues if supervise.groups is None else supervise.groups)
    least = {"off": 1, "simple": groups, "auto": groups * supervise.min_processes}[supervise.balance]
    if supervise.max_processes is not None and supervise.max_processes < least:
        keys += tuple(("supervise", name) for name in ("balance", "min_processes", "max_processes"))
        has = f"supervise.max_processes is {supervise.max_processes}, but balance {supervise.balance!r} needs {least}"
        yield keys, f"{has} for {groups} group(s); raise it, or put queues together with supervise.groups"
