"""How a call to another system can fail. Each adapter translates into these classes and raises nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


class GatewayError(Exception):
    """The root: what went wrong, in the other system's words where it gave any."""

    def __init__(self, message: str, *, code: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Postponed(GatewayError):
    """The call is to be made later; nobody is at fault."""

    def __init__(self, message: str, *, code: str, wait: timedelta, status: int | None = None) -> None:
        super().__init__(message, code=code, status=status)
        self.wait = wait


class RateLimited(Postponed):
    """The other system said how long to wait."""


class NotReady(Postponed):
    """It is still at work on what we gave it."""


class CircuitOpen(Postponed):
    """It failed so often lately that nothing was sent."""


class AuthExpired(GatewayError):
    """The credentials are no longer accepted."""


class Rejected(GatewayError):
    """It refused, and will refuse the same again."""


class Gone(Rejected):
    """What was asked for is not there, or not any more."""


class NotAllowed(Rejected):
    """What the account's owner allowed us does not cover this."""


class Duplicate(GatewayError):
    """It has this content already, and we cannot show that it is ours."""


class Transient(GatewayError):
    """It did not work, and certainly nothing was changed on the other side."""


class UnknownOutcome(GatewayError):
    """The request was sent and the answer never came, or made no sense: it may have worked."""
