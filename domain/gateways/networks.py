"""What every network is to us: what it can do, and the few calls that publishing is made of.

Publishing one post is a walk of steps. `Network.phase` says from the written plan which step is next, `Network.step`
makes it. What a step learned is written down before the next one begins, so that a crash loses nothing but an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime
    from uuid import UUID

    from domain.gateways.vault import Tokens

Plan = dict[str, Any]
Phase = Literal["create", "publish"]


class Idempotency(StrEnum):
    """What keeps a repeated call from making a second post."""

    KEY = "key"  # the network remembers our key for a while
    CHOSEN_ID = "chosen_id"  # we choose the post's id
    TWO_PHASE = "two_phase"  # a container is made first, and it tells whether it was published
    DETECT = "detect"  # the network refuses the same content and names what it has


@dataclass(frozen=True, slots=True)
class Traits:
    """What a network can do and what it takes."""

    idempotency: Idempotency
    characters: int
    media: int
    media_needed: bool = False
    length: Callable[[str], int] = len
    repeatable: timedelta = timedelta(0)
    """How long after an unanswered call the same call may simply be made again. After that we look first."""
    renew_early: timedelta | None = None
    """How long before their end tokens are renewed; None: this network does not renew."""
    renew_age: timedelta = timedelta(0)
    """How old tokens have to be before the network renews them."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Where an account lives and what lets us in."""

    base_url: str
    external_id: str
    access: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a post: its bytes, and where the network itself may fetch it."""

    media_type: str
    alt_text: str
    load: Callable[[], Awaitable[bytes]]
    link: Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be published."""

    text: str
    media: tuple[Plan, ...] = ()
    """What the network said of each uploaded file, in order."""
    in_doubt: bool = False
    """An earlier call may have published this very post."""


@dataclass(frozen=True, slots=True)
class RemotePost:
    """A post as the network has it."""

    external_id: str
    permalink: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A step is made, and another one follows."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Finding:
    """What looking for a post gave; only a complete look can prove that it is not there."""

    posts: tuple[RemotePost, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Renewal:
    """New credentials; ``expires_at`` None: the network did not say."""

    tokens: Tokens
    expires_at: datetime | None


class Network(Protocol):
    """One network. Every call ends within the deadline and raises nothing but `GatewayError`."""

    traits: Traits

    def plan(self, key: UUID, now: datetime) -> Plan:
        """Return what is written down before the first call and is the same for every later one."""

    def phase(self, plan: Plan) -> Phase:
        """Say which step is next; only ``publish`` can make the post visible."""

    async def upload(self, grant: Grant, file: File) -> Plan:
        """Hand a file over and return what the post refers to it by."""

    async def step(self, grant: Grant, draft: Draft, plan: Plan) -> RemotePost | Progress:
        """Make the next step."""

    async def find(self, grant: Grant, draft: Draft, plan: Plan, since: datetime) -> Finding:
        """Look whether the account has this post, published at ``since`` or later; newest first."""

    async def renew(self, grant: Grant, tokens: Tokens) -> Renewal:
        """Exchange the tokens for new ones; raises `AuthExpired` when the grant is dead."""


@dataclass(frozen=True, slots=True)
class Networks:
    """All networks, by the name that accounts carry."""

    by_provider: Mapping[str, Network]

    def of(self, provider: str) -> Network:
        """Return a network."""
        return self.by_provider[provider]
