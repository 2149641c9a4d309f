"""What a failed call means: for its attempt row, for the publication, for the account. One table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from domain.gateways.failures import (
    AuthExpired,
    CircuitOpen,
    GatewayError,
    RateLimited,
    Rejected,
    Transient,
    UnknownOutcome,
)
from domain.models import AccountStatus

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
    account: AccountStatus | None = None
    """The state in which the account is now, if it has changed."""
    disproves: bool = False
    """The answer to a repeated key also proves that the earlier call with that key changed nothing."""


VERDICTS: Mapping[type[GatewayError], Verdict] = {
    RateLimited: Verdict("rate_limited", "snooze"),
    CircuitOpen: Verdict("transient", "snooze"),
    AuthExpired: Verdict("auth", "fail", account=AccountStatus.NEEDS_REAUTH),
    Rejected: Verdict("rejected", "fail", disproves=True),
    Transient: Verdict("transient", "retry"),
    UnknownOutcome: Verdict("unknown", "retry"),
}


def verdict_of(error: GatewayError) -> Verdict:
    """Look a failure up."""
    return VERDICTS[type(error)]
