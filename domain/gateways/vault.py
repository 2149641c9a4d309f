"""Credentials at rest: one sealed blob per account, which only opens for the account it was sealed for."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID


class SealBroken(Exception):
    """A blob that none of our keys opens, or that belongs to another account."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a network gave us for one account; never printed."""

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A blob for the database and the name of the key that made it."""

    blob: str = field(repr=False)
    kid: str


class Vault:
    """Seals with the first key, opens with any: put a new key in front and seal again at leisure."""

    def __init__(self, keys: Sequence[str], *, fingerprint_key: str) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._kid = hashlib.sha256(keys[0].encode()).hexdigest()[:8]
        self._fingerprint_key = fingerprint_key.encode()

    def seal(self, account_id: UUID, tokens: Tokens) -> Sealed:
        """Encrypt the tokens for this account."""
        content = {"sub": str(account_id), "access": tokens.access, "refresh": tokens.refresh}
        return Sealed(self._fernet.encrypt(json.dumps(content).encode()).decode(), self._kid)

    def open(self, account_id: UUID, blob: str) -> Tokens:
        """Decrypt the tokens of this account; a blob copied from another account is refused."""
        try:
            content = json.loads(self._fernet.decrypt(blob))
        except InvalidToken as error:
            message = f"credentials of account {account_id}: no key of ours opens them; is a key missing?"
            raise SealBroken(message) from error
        if content["sub"] != str(account_id):
            raise SealBroken(f"credentials of account {account_id} were sealed for another account")
        return Tokens(content["access"], content["refresh"])

    def fingerprint(self, email: str) -> bytes:
        """Return what stands for an address where the address itself must not be kept."""
        return hmac.digest(self._fingerprint_key, email.strip().lower().encode(), "sha256")

    def mark(self, content: bytes) -> bytes:
        """Return what stands for a request that may hold a password: without our key nobody can try guesses on it."""
        return hmac.digest(self._fingerprint_key, b"request\n" + content, "sha256")
