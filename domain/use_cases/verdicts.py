"""What a failed call means: for its attempt row, for the publication, for the account. One table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from domain.gateways.failures import (
    AuthExpired,
    CircuitOpen,
    Duplicate,
    GatewayError,
    Gone,
    NotAllowed,
    NotReady,
    RateLimited,
    Rejected,
    Transient,
    UnknownOutcome,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Fate = Literal["retry", "snooze", "fail"]
"""retry: the queue's backoff, an attempt is spent. snooze: later, no attempt is spent. fail: a human must act."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from one class of failure."""

    outcome: str
    """Of the attempt row."""
    fate: Fate
    ends_grant: bool = False
    """The account cannot be used before a human has connected it again."""
    disproves: bool = False
    """The answer to a repeated key also proves that the earlier call with that key changed nothing."""


_REFUSED = Verdict("rejected", "fail", disproves=True)
VERDICTS: Mapping[type[GatewayError], Verdict] = {
    RateLimited: Verdict("rate_limited", "snooze"),
    NotReady: Verdict("ok", "snooze"),
    CircuitOpen: Verdict("transient", "snooze"),
    AuthExpired: Verdict("auth", "fail", ends_grant=True),
    Rejected: _REFUSED,
    Gone: _REFUSED,
    NotAllowed: _REFUSED,
    Duplicate: Verdict("duplicate", "fail"),
    Transient: Verdict("transient", "retry"),
    UnknownOutcome: Verdict("unknown", "retry"),
}


def verdict_of(error: GatewayError) -> Verdict:
    """Look a failure up: its own kind, else the kind that it is one of."""
    return next(VERDICTS[kind] for kind in type(error).__mro__ if kind in VERDICTS)
