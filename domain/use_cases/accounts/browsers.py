"""In which browser a user set out: the state that comes back says it, to us alone."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from domain.models import User

_BYTES = 32


@dataclass(frozen=True, slots=True)
class Browsers:
    """Makes states, and knows again in which browser each was begun."""

    key: bytes = field(repr=False)

    def state(self, user: User, browser: str | None) -> str:
        """Make a state that nobody can guess; None: the user comes back to a program that shows a session."""
        nonce = secrets.token_urlsafe(_BYTES)
        return nonce if browser is None else f"{nonce}.{self._mark(nonce, user, browser)}"

    def began(self, user: User, browser: str, state: str) -> bool:
        """Tell whether the state was begun in this browser, and no new password or ban has come since."""
        nonce, _, mark = state.partition(".")
        return hmac.compare_digest(mark.encode("utf-8", "surrogatepass"), self._mark(nonce, user, browser).encode())

    def _mark(self, nonce: str, user: User, browser: str) -> str:
        said = "\n".join((nonce, str(user.security_stamp), browser))
        return hmac.digest(self.key, said.encode("utf-8", "surrogatepass"), "sha256").hex()
