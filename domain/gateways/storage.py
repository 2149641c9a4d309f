"""Stored objects: a directory by default, S3 by settings. What was stored under a key is never overwritten.

The synchronous calls of obstore run in threads: with its asynchronous ones a thread of its own touches Python after the
last call has returned, and a process that ends at that moment is aborted.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, S3Store

from domain.gateways.failures import AuthExpired, Rejected, Transient
from domain.models import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable
    from datetime import datetime, timedelta
    from pathlib import Path

    from domain.gateways.breakers import Breakers
    from domain.settings import DomainSettings

PROVIDER = "storage"
MISSING = "object_missing"
EXISTS = "object_exists"
TOO_LARGE = "too_large"
CHUNK = 1 << 18

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Stored:
    """What was written: as many bytes, with this hash."""

    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class LinkSigner:
    """Makes links to objects that end by themselves, for stores that cannot sign."""

    base_url: str
    key: bytes

    def link(self, object_key: str, expires: datetime) -> str:
        """Return an address that opens this object until then."""
        until = int(expires.timestamp())
        query = urlencode({"expires": until, "signature": self._signature(object_key, until)})
        return f"{self.base_url.rstrip('/')}/files/{quote(object_key)}?{query}"

    def allows(self, object_key: str, *, expires: str, signature: str, now: datetime) -> bool:
        """Tell whether a link with these parameters still opens the object."""
        if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):  # noqa: PLR2004 - digits of a time
            return False
        expected = self._signature(object_key, int(expires))
        return hmac.compare_digest(expected.encode(), signature.encode()) and now.timestamp() < int(expires)

    def _signature(self, object_key: str, until: int) -> str:
        # the number comes first: it holds no line break, so no other pair gives the same text
        digest = hmac.digest(self.key, f"link\n{until}\n{object_key}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Storage:
    """Objects by key. Every step ends within the deadline: a large object is many steps."""

    def __init__(
        self, store: LocalStore | S3Store, place: str, breakers: Breakers, signer: LinkSigner, *, deadline: timedelta
    ) -> None:
        self._store = store
        self._place = place
        self._breakers = breakers
        self._signer = signer
        self._deadline = deadline.total_seconds()

    async def put(self, key: str, content: bytes) -> bool:
        """Store a small object; False if there is one under this key already: it stays as it is."""
        try:
            await self._step(lambda: obstore.put(self._store, key, content, mode="create"))
        except Rejected as error:
            if error.code == EXISTS:
                return False
            raise
        return True

    async def write(self, key: str, chunks: AsyncIterable[bytes], *, at_most: int) -> Stored:
        """Store a stream, whole or not at all; more than ``at_most`` bytes or a key in use are `Rejected`."""
        staged = f"staging/{new_id()}"  # a multipart upload cannot be create-only, a rename can
        writer = await self._step(lambda: obstore.open_writer(self._store, staged))
        digest, size = hashlib.sha256(), 0
        async for chunk in chunks:
            size += len(chunk)
            if size > at_most:  # without a close nothing of it appears
                raise Rejected(f"more than {at_most} bytes", code=TOO_LARGE)
            digest.update(chunk)
            await self._step(partial(writer.write, chunk))
        await self._step(writer.close)
        try:
            await self._step(lambda: obstore.rename(self._store, staged, key, overwrite=False))
        except Rejected:
            await self.delete(staged)
            raise
        return Stored(size, digest.digest())

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Stream an object."""
        found = await self._step(lambda: obstore.get(self._store, key))
        stream = iter(found.stream(min_chunk_size=CHUNK))
        while (chunk := await self._step(lambda: next(stream, None))) is not None:
            yield bytes(chunk)

    async def load(self, key: str, *, at_most: int) -> bytes:
        """Return an object whole; one of more than ``at_most`` bytes is `Rejected`."""
        if await self.size(key) > at_most:
            raise Rejected(f"the object has more than {at_most} bytes", code=TOO_LARGE)
        return b"".join([chunk async for chunk in self.read(key)])

    async def size(self, key: str) -> int:
        """Return how many bytes an object has."""
        found = await self._step(lambda: obstore.head(self._store, key))
        return int(found["size"])

    async def copy(self, source: str, target: str) -> None:
        """Store an object under a second key; if there is one already, it was copied before."""
        try:
            await self._step(lambda: obstore.copy(self._store, source, target, overwrite=False))
        except Rejected as error:
            if error.code != EXISTS:
                raise

    async def delete(self, key: str) -> None:
        """Delete an object; it is no error if it is gone."""
        try:
            await self._step(lambda: obstore.delete(self._store, key))
        except Rejected as error:
            if error.code != MISSING:
                raise

    async def link(self, key: str, *, now: datetime, lasts: timedelta) -> str:
        """Return an address under which anybody can fetch the object for a while."""
        store = self._store
        if isinstance(store, S3Store):
            return await self._step(lambda: obstore.sign(store, "GET", key, lasts))
        return self._signer.link(key, now + lasts)

    def allows(self, key: str, *, expires: str, signature: str, now: datetime) -> bool:
        """Tell whether a link of ours with these parameters still opens the object."""
        return self._signer.allows(key, expires=expires, signature=signature, now=now)

    async def _step(self, call: Callable[[], _T]) -> _T:
        with self._breakers.calling(PROVIDER, self._place):
            try:
                # the thread cannot be ended; the store's own timeouts end it
                async with asyncio.timeout(self._deadline):
                    return await asyncio.to_thread(call)
            except FileNotFoundError as error:
                raise Rejected("there is no such object", code=MISSING) from error
            except AlreadyExistsError as error:
                raise Rejected("there is an object under this key already", code=EXISTS) from error
            except (ValueError, TypeError) as error:  # deleting says TypeError of a key that is none
                raise Rejected(f"no key for an object: {error}", code="bad_key") from error
            except (PermissionDeniedError, UnauthenticatedError) as error:
                raise AuthExpired(f"the store refuses us: {_first_line(error)}", code="storage_auth") from error
            except (BaseError, OSError, TimeoutError) as error:
                # writing the same again does no harm: nothing is overwritten
                raise Transient(f"the store failed: {_first_line(error)}", code="storage_failed") from error


def local_store(directory: Path) -> tuple[LocalStore, str]:
    """Open a directory as a store, and name it."""
    directory.mkdir(parents=True, exist_ok=True)
    return LocalStore(directory), str(directory)


def s3_store(
    bucket: str, *, region: str, endpoint: str | None, access_key: str, secret_key: str, deadline: timedelta
) -> tuple[S3Store, str]:
    """Open a bucket as a store, and name it."""
    store = S3Store(
        bucket,
        config={
            "region": region,
            "access_key_id": access_key,
            "secret_access_key": secret_key,
            "copy_if_not_exists": "multipart",
            **({"endpoint": endpoint} if endpoint else {}),
        },
        client_options={"timeout": deadline, "connect_timeout": "5s", "allow_http": bool(endpoint)},
        retry_config={"max_retries": 2, "retry_timeout": deadline},
    )
    return store, endpoint or bucket


def open_storage(configuration: DomainSettings, breakers: Breakers) -> Storage:
    """Open the place that the settings name."""
    deadline = configuration.storage_deadline
    store: LocalStore | S3Store
    if configuration.storage_bucket is None:
        store, place = local_store(configuration.storage_directory)
    else:
        store, place = s3_store(
            configuration.storage_bucket,
            region=configuration.storage_region,
            endpoint=configuration.storage_endpoint,
            access_key=configuration.storage_access_key.get_secret_value(),
            secret_key=configuration.storage_secret_key.get_secret_value(),
            deadline=deadline,
        )
    signer = LinkSigner(configuration.base_url, configuration.link_key)
    return Storage(store, place, breakers, signer, deadline=deadline)


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0][:300]
