"""What follows from events of the context `media`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.jobs import GenerateThumbnailJob, ScanMediaJob

if TYPE_CHECKING:
    from domain.events import MediaCleared, MediaUploaded
    from domain.unit_of_work import UnitOfWork


async def scan(uow: UnitOfWork, event: MediaUploaded) -> None:
    """Have the file scanned."""
    await uow.dispatch(ScanMediaJob(media_id=event.media_id))


async def make_small(uow: UnitOfWork, event: MediaCleared) -> None:
    """Have its small picture made."""
    await uow.dispatch(GenerateThumbnailJob(media_id=event.media_id))
