"""From a stream of bytes to a row: RegisterUpload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from domain.events import MediaUploaded
from domain.gateways.failures import Rejected
from domain.gateways.storage import TOO_LARGE
from domain.models import Media, ObjectTombstone, Organization, ScanStatus, limits_of, new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterable
    from uuid import UUID

    from domain.gateways.storage import Storage, Stored
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Context

UPLOAD = "upload"
"""The reason of the tombstone that is written before an upload: if we die in between, its object is found by it."""
_LONGEST_NAME = 255


class InvalidUpload(Exception):
    """A file that cannot be taken; the message is for the user."""


@dataclass(frozen=True, slots=True)
class RegisterUpload:
    """Store a file and have it scanned. Until then nobody can publish it."""

    units: UnitsOfWork
    storage: Storage
    largest: int

    async def __call__(
        self, context: Context, *, filename: str, declared_type: str, chunks: AsyncIterable[bytes]
    ) -> UUID:
        """Store the stream and return the id of the file."""
        media_id = new_id()
        key = f"media/{context.organization_id}/{media_id}"
        async with self.units.begin(context) as uow:
            room = await _room(uow)
            uow.session.add(ObjectTombstone(storage_key=key, organization_id=uow.organization_id, reason=UPLOAD))
        at_most = min(self.largest, room)
        try:
            stored = await self.storage.write(key, chunks, at_most=at_most)
        except Rejected as error:
            if error.code != TOO_LARGE:
                raise
            raise InvalidUpload(f"the file has more than the {at_most} bytes that there is room for") from error
        if not stored.size:
            raise InvalidUpload("the file is empty")
        row = Media(
            id=media_id,
            storage_key=key,
            filename=_shown(filename),
            declared_type=_shown(declared_type),
            byte_size=stored.size,
        )
        async with self.units.begin(context) as uow:
            await self._register(uow, row, stored)
        return media_id

    async def _register(self, uow: UnitOfWork, row: Media, stored: Stored) -> None:
        if await _known_as_infected(uow, stored.sha256):
            raise InvalidUpload("this very file was found infected before")
        taken = await uow.session.execute(
            delete(ObjectTombstone).where(ObjectTombstone.storage_key == row.storage_key).returning(1)
        )
        if taken.first() is None:
            raise InvalidUpload("the upload took too long; send the file again")
        row.organization_id, row.uploaded_by = uow.organization_id, uow.user_id
        uow.session.add(row)
        await uow.session.flush()
        await uow.publish(MediaUploaded(media_id=row.id))


async def _room(uow: UnitOfWork) -> int:
    """Return how many bytes the organization may still store."""
    organization = await uow.session.get_one(Organization, uow.organization_id)
    used = await uow.session.scalar(
        select(func.coalesce(func.sum(Media.byte_size), 0)).where(
            Media.organization_id == uow.organization_id, Media.deleted_at.is_(None)
        )
    )
    room = limits_of(organization.plan).storage_bytes - int(used or 0)
    if room <= 0:
        raise InvalidUpload("there is no room left for files; delete some, or take a larger plan")
    return room


async def _known_as_infected(uow: UnitOfWork, sha256: bytes) -> bool:
    found = await uow.session.scalar(
        select(Media.id).where(
            Media.organization_id == uow.organization_id,
            Media.sha256 == sha256,
            Media.scan_status == ScanStatus.INFECTED,
        )
    )
    return found is not None


def _shown(text: str) -> str:
    """Return what can be stored and shown of a name that a client gave."""
    return "".join(character for character in text if character.isprintable())[-_LONGEST_NAME:] or "?"
