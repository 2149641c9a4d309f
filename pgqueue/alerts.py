"""Alerts: what is watched, from where on it is told, and to whom. Pure: nothing here touches a database or a network.

Settings(alerts=Alerts(long_wait=Wait(above="2m", below="30s"), webhooks=[Webhook(url="env:ALERT_URL")]))
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from pgqueue.duration import Seconds
from pgqueue.errors import ConfigurationError


def _named_source(value: str) -> str:
    kind, _, rest = value.partition(":")
    if kind not in {"env", "file"} or not rest:
        raise ValueError('write where the secret stands, "env:NAME" or "file:/path"; in code it would be known to all')
    return value


def _address(value: str) -> str:
    return value if value.startswith(("http://", "https://")) else _named_source(value)


Source = Annotated[str, AfterValidator(_named_source)]
"""Where a secret stands: ``env:NAME`` or ``file:/path``. Read when it is needed, never printed."""


def read_secret(source: str) -> str:
    """Return the secret. Raises ConfigurationError that names where it should have been."""
    kind, _, rest = source.partition(":")
    try:
        value = os.environ[rest] if kind == "env" else Path(rest).read_text("utf-8")
    except (KeyError, OSError, UnicodeError):
        what = f"the variable {rest} is not set" if kind == "env" else f"the file {rest} cannot be read"
        raise ConfigurationError(f"the secret at {source} is missing: {what}") from None
    return value.strip()


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Rule(_Strict):
    """Raised when ``samples`` samples in a row are at or over ``above``, cleared when as many are under ``below``."""

    samples: int = Field(default=2, ge=1, le=100)

    @property
    def bounds(self) -> tuple[float, float]:
        """The two thresholds as numbers."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        above, below = self.bounds
        if not 0 < below <= above:
            raise ValueError("below must be more than 0 and at most above, or the alert could never clear, or flap")
        return self


class Wait(Rule):
    """Thresholds that are lengths of time."""

    above: Seconds
    below: Seconds

    @property
    def bounds(self) -> tuple[float, float]:
        """Seconds."""
        return self.above.total_seconds(), self.below.total_seconds()


class Level(Rule):
    """Thresholds that are numbers, of what happened within ``window``."""

    above: float
    below: float
    window: Seconds = timedelta(minutes=15)

    @property
    def bounds(self) -> tuple[float, float]:
        """Numbers."""
        return self.above, self.below


class FailureRate(Level):
    """A share between 0 and 1 of at least ``least`` attempts."""

    above: float = Field(gt=0, le=1)
    window: Seconds = timedelta(minutes=5)
    least: int = Field(default=20, ge=1)


class Webhook(_Strict):
    """A POST of JSON, signed like Standard Webhooks when there is a secret."""

    url: Annotated[str, AfterValidator(_address)]
    """``https://…``; an address that is a secret itself stands in ``env:NAME`` or ``file:/path``."""
    secret: Source | None = None
    timeout: Seconds = timedelta(seconds=10)


class Email(_Strict):
    """A mail over SMTP."""

    to: tuple[str, ...] = Field(min_length=1)
    sender: str = Field(min_length=3)
    host: str = "localhost"
    port: int = Field(default=587, ge=1, le=65_535)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """``starttls`` (port 587), ``implicit`` (port 465), or ``none``: for a relay on this host."""
    username: str | None = None
    password: Source | None = None
    timeout: Seconds = timedelta(seconds=10)

    @model_validator(mode="after")
    def _sealed(self) -> Self:
        if self.username is not None and self.tls == "none":
            raise ValueError('the password would be readable on its way; say tls="starttls" or "implicit"')
        return self


class Notice(NamedTuple):
    """One message: what a hook gets. ``key`` is the same on every try of the same message."""

    key: str
    event: str
    """``raised``, ``repeated``, ``cleared``, or ``test``."""
    rule: str
    subject: str
    value: float
    text: str
    raised_at: datetime
    made_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        moments = {"raised_at": self.raised_at.isoformat(), "made_at": self.made_at.isoformat()}
        return self._asdict() | moments


RULES = ("dead_letters", "long_wait", "failure_rate", "silent_worker", "missed_tick", "open_breaker")


class Alerts(_Strict):
    """Thresholds and channels. A rule that is None is not watched."""

    every: Seconds = timedelta(seconds=15)
    """How often one process measures."""
    repeat: Seconds = timedelta(hours=4)
    """After this an alert that is still raised is told again."""
    tries: int = Field(default=8, ge=1, le=50)
    """How often the delivery of one message is tried: over about twenty minutes."""
    dead_letters: Level | None = Level(above=1, below=1, samples=1)
    """Jobs of one kind that died within the window."""
    long_wait: Wait | None = Wait(above=timedelta(minutes=5), below=timedelta(minutes=1))
    """How long the next job of an open queue, or the oldest row of the outbox, has been due."""
    failure_rate: FailureRate | None = FailureRate(above=0.5, below=0.2)
    """The share of attempts of one kind that failed."""
    silent_worker: Wait | None = Wait(above=timedelta(seconds=45), below=timedelta(seconds=45), samples=1)
    """How long a worker has not been heard of."""
    missed_tick: Wait | None = Wait(above=timedelta(minutes=2), below=timedelta(seconds=30))
    """How long a schedule has been overdue."""
    open_breaker: Wait | None = Wait(above=timedelta(minutes=1), below=timedelta(seconds=1), samples=1)
    """How long nothing has been sent to a dependency."""
    log: bool = True
    webhooks: tuple[Webhook, ...] = ()
    emails: tuple[Email, ...] = ()
    hooks: tuple[Callable[[Notice], None], ...] = ()
    """Functions of the application, called in a thread with a `Notice`."""

    @model_validator(mode="after")
    def _workable(self) -> Self:
        if not self.every or not self.repeat:
            raise ValueError("every and repeat must be longer than nothing")
        if any(inspect.iscoroutinefunction(hook) for hook in self.hooks):
            raise ValueError("a hook is called in a thread: make it a plain def")
        return self

    def rules(self) -> dict[str, Rule]:
        """Return what is watched."""
        found = {name: getattr(self, name) for name in RULES}
        return {name: rule for name, rule in found.items() if rule is not None}


class Standing(NamedTuple):
    """What is known of one subject of a rule: ``streak`` samples in a row spoke for a change."""

    version: int = 0
    streak: int = 0
    raised: bool = False
    told_ago: float | None = None
    recent: bool = False


class Step(NamedTuple):
    """What a sample changes; ``event``: what has to be told."""

    rule: str
    subject: str
    version: int
    streak: int
    raised: bool
    value: float
    event: str | None
    text: str


def judge(
    of: tuple[str, str], rule: Rule, standing: Standing, *, value: float, text: str, repeat: float
) -> Step | None:
    """Judge one sample of a rule's subject; None: it changes nothing."""
    above, below = rule.bounds
    if standing.recent:
        return None
    for_change = value < below if standing.raised else value >= above
    streak = standing.streak + 1 if for_change else 0
    raised, event = standing.raised, None
    if streak >= rule.samples:
        raised, streak = not raised, 0
        event = "raised" if raised else "cleared"
    elif raised and value >= above and (standing.told_ago is None or standing.told_ago >= repeat):
        event = "repeated"
    if not raised and event is None and streak == standing.streak:
        return None
    return Step(*of, standing.version + 1, streak, raised, value, event, text)
