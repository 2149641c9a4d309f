"""Passwords at rest: scrypt of the standard library, which is memory-hard and needs nothing to be installed.

Its default cost (N = 2^15, r = 8, p = 3) takes 32 MiB, a quarter of what N = 2^17, p = 1 would take.
The parameters stand in the hash: a password hashed with others is hashed again at the next sign-in.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import unicodedata
from base64 import b64decode, b64encode
from typing import NamedTuple

_BLOCK = 8
_PARALLEL = 3
_SALT = 16
_LENGTH = 32
_AT_ONCE = 2  # more would only share the processors, and each takes its memory
SHORTEST = 10
LONGEST = 200


class InvalidPassword(Exception):
    """A password that is not good enough; the message is for the user, ``code`` says it in a word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Hash(NamedTuple):
    cost: int
    block: int
    parallel: int
    salt: bytes
    digest: bytes

    def __str__(self) -> str:
        salt, digest = b64encode(self.salt).decode(), b64encode(self.digest).decode()
        return f"$scrypt$ln={self.cost},r={self.block},p={self.parallel}${salt}${digest}"

    @classmethod
    def parse(cls, text: str) -> _Hash:
        _, _, parameters, salt, digest = text.split("$")
        cost, block, parallel = (int(part.partition("=")[2]) for part in parameters.split(","))
        return cls(cost, block, parallel, b64decode(salt), b64decode(digest))


class Passwords:
    """Hashes and verifies, in a thread, a few at a time."""

    def __init__(self, cost: int) -> None:
        """Make a hash that no password has: verifying for nobody costs what it costs for somebody."""
        self._cost = cost
        self._nobody = str(_Hash(cost, _BLOCK, _PARALLEL, secrets.token_bytes(_SALT), secrets.token_bytes(_LENGTH)))
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def check(self, password: str) -> None:
        """Raise `InvalidPassword` for one that nobody should choose."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise InvalidPassword("length", f"the password must have {SHORTEST} to {LONGEST} characters")
        if len(set(password)) <= 2:  # noqa: PLR2004 - such as "aaaaaaaaaa" and "ababababab"
            raise InvalidPassword("repetition", "the password repeats itself; choose another one")

    async def hash(self, password: str) -> str:
        """Return what is stored in a password's place."""
        salt = secrets.token_bytes(_SALT)
        digest = await self._derive(password, self._cost, _BLOCK, _PARALLEL, salt)
        return str(_Hash(self._cost, _BLOCK, _PARALLEL, salt, digest))

    async def verify(self, password: str, stored: str | None) -> bool:
        """Compare. ``stored`` None (nobody, or without a password) takes as long and is never right."""
        known = _Hash.parse(stored or self._nobody)
        digest = await self._derive(password, known.cost, known.block, known.parallel, known.salt)
        return hmac.compare_digest(digest, known.digest) and stored is not None

    def outdated(self, stored: str) -> bool:
        """Tell whether the hash was made with other parameters than today's."""
        known = _Hash.parse(stored)
        return (known.cost, known.block, known.parallel) != (self._cost, _BLOCK, _PARALLEL)

    async def _derive(self, password: str, cost: int, block: int, parallel: int, salt: bytes) -> bytes:
        # the same letters typed on another keyboard are the same password; what is too long is not worth the work
        secret = unicodedata.normalize("NFKC", password[: LONGEST + 1]).encode("utf-8", "surrogatepass")
        async with self._turns:
            return await asyncio.to_thread(
                hashlib.scrypt,
                secret,
                salt=salt,
                n=2**cost,
                r=block,
                p=parallel,
                maxmem=2**cost * block * 256,
                dklen=_LENGTH,
            )
