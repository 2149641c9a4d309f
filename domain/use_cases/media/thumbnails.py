"""GenerateThumbnail: the small picture of a file, made where a crash harms nobody. BuryThumbnail: there is none."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from domain.events import ThumbnailReady
from domain.gateways.failures import Postponed
from domain.gateways.pictures import Picture, Undecodable, picture_of
from domain.models import ScanStatus, ThumbnailStatus, transition
from domain.use_cases.media.scanning import find_media
from pgqueue import Outcome, Snooze

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.gateways.storage import Storage
    from domain.models import Media
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Death, JobContext


@dataclass(frozen=True, slots=True)
class GenerateThumbnail:
    """Make the small picture of a clean file; safe to call again at any moment."""

    units: UnitsOfWork
    storage: Storage

    async def __call__(self, media_id: UUID, ctx: JobContext) -> Outcome | None:
        """Make it if there is none."""
        async with self.units.begin(ctx.context) as uow:
            row = await find_media(uow, media_id)
        if row is None or not _wanted(row):
            return None
        try:
            picture = await self._decode(row)
        except Postponed as error:
            return Snooze(error.wait, f"{error.code}: {error}")
        # named after the content: a second run makes the same object, which then is there already
        key = f"thumbnails/{row.organization_id}/{row.id}-{(row.sha256 or b'').hex()[:16]}.webp"
        if picture is not None:
            await self.storage.put(key, picture.content)
        async with ctx.transaction() as session:
            await self._settle(self.units.join(session, ctx.context), media_id, picture, key)
        return None

    async def _decode(self, row: Media) -> Picture | None:
        """Return the picture; None if the file cannot be decoded."""
        with tempfile.TemporaryDirectory(prefix="thumbnail-") as directory:
            path = Path(directory, "original")
            with path.open("wb") as file:  # noqa: ASYNC230 - the child runs nothing else
                async for chunk in self.storage.read(row.storage_key):
                    file.write(chunk)
            try:
                return await asyncio.to_thread(picture_of, path, row.detected_type or "")
            except Undecodable:
                return None

    async def _settle(self, uow: UnitOfWork, media_id: UUID, picture: Picture | None, key: str) -> None:
        row = await find_media(uow, media_id, lock=True)
        if row is None or not _wanted(row):
            return
        if picture is None:
            transition(row, ThumbnailStatus.FAILED, column="thumbnail_status")
            return
        row.thumbnail_key = key
        row.thumbnail_width, row.thumbnail_height = picture.size
        row.width, row.height = picture.original
        row.duration_ms = picture.duration_ms
        transition(row, ThumbnailStatus.READY, column="thumbnail_status")
        await uow.publish(ThumbnailReady(media_id=row.id))


@dataclass(frozen=True, slots=True)
class BuryThumbnail:
    """The job died, most likely with the decoder: there will be no small picture."""

    units: UnitsOfWork

    async def __call__(self, session: AsyncSession, media_id: UUID, death: Death) -> None:
        """Say so, in the burying transaction."""
        row = await find_media(self.units.join(session, death.context), media_id, lock=True)
        if row is not None and _wanted(row):
            transition(row, ThumbnailStatus.FAILED, column="thumbnail_status")


def _wanted(row: Media) -> bool:
    return row.scan_status == ScanStatus.CLEAN and row.thumbnail_status == ThumbnailStatus.NONE
