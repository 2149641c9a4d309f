"""Uploaded files and stored objects: ListMedia, GetMedia and OpenFile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from domain.gateways.failures import Rejected
from domain.models import Media, ScanStatus
from domain.use_cases.clock import database_now
from domain.use_cases.reading.pages import NotFound, Page, page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from domain.gateways.storage import Storage
    from domain.unit_of_work import UnitsOfWork
    from domain.use_cases.reading.pages import Wanted
    from pgqueue import Context

_BY_ENDING = {"csv": "text/csv; charset=utf-8", "pdf": "application/pdf"}
_UNKNOWN = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class ListMedia:
    """The uploaded files of an organization."""

    units: UnitsOfWork

    async def __call__(self, context: Context, wanted: Wanted) -> Page[Media]:
        """Return a page, newest first."""
        async with self.units.begin(context) as uow:
            query = select(Media).where(Media.organization_id == uow.organization_id, Media.deleted_at.is_(None))
            return await page(uow, query, [Media.id], wanted)


@dataclass(frozen=True, slots=True)
class GetMedia:
    """One uploaded file, and what the scan says of it."""

    units: UnitsOfWork

    async def __call__(self, context: Context, media_id: UUID) -> Media:
        """Return it. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            row = await uow.session.scalar(
                select(Media).where(
                    Media.organization_id == uow.organization_id, Media.id == media_id, Media.deleted_at.is_(None)
                )
            )
            if row is None:
                raise NotFound(f"there is no file {media_id} in this organization")
            return row


@dataclass(frozen=True, slots=True)
class Opened:
    """An object on its way out."""

    media_type: str
    size: int
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class OpenFile:
    """Give out an object to whoever has a link that we signed, until the link ends."""

    units: UnitsOfWork
    storage: Storage

    async def __call__(self, context: Context, key: str, *, expires: str, signature: str) -> Opened:
        """Return the object. Raises `NotFound`, whatever is wrong with the link."""
        async with self.units.begin(context) as uow:
            if not self.storage.allows(key, expires=expires, signature=signature, now=await database_now(uow)):
                raise NotFound("this link is not good, or not any more")
            # what a strangers' file says of itself is never repeated: a scan has to have looked at it
            detected = await uow.session.scalar(
                select(func.coalesce(Media.detected_type, _UNKNOWN)).where(
                    Media.storage_key == key, Media.scan_status == ScanStatus.CLEAN
                )
            )
        try:
            size = await self.storage.size(key)
        except Rejected as error:
            raise NotFound("this link is not good, or not any more") from error
        ending = key.rpartition(".")[2] if key.startswith("reports/") else ""
        return Opened(detected or _BY_ENDING.get(ending, _UNKNOWN), size, self.storage.read(key))
