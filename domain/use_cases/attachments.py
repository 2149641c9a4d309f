"""The files of a post on their way to a network: only clean ones, and each of them once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import select

from domain.gateways.failures import AuthExpired, Rejected, Transient
from domain.gateways.metadata import Damaged, without_metadata
from domain.gateways.networks import File
from domain.models import Media, PostMedia, RemoteMedia, ScanStatus
from pgqueue import Snooze

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.gateways.networks import Plan
    from domain.models import ScheduledPost
    from domain.unit_of_work import UnitOfWork

SCAN_POLL = timedelta(seconds=15)
# A scan takes seconds; after an hour the author is told. The scan's end then tries again.
SCAN_PATIENCE = timedelta(hours=1)
UNSCANNED = "media_unscanned"
REFUSED = "media_refused"
CHANGED = "media_changed"
DAMAGED = "media_damaged"
LINK_LASTS = timedelta(hours=1)
LARGEST = 16 << 20


class Shelf(Protocol):
    """Where uploaded files are kept."""

    async def load(self, key: str, *, at_most: int) -> bytes:
        """Return a file's content."""

    async def link(self, key: str, *, now: datetime, lasts: timedelta) -> str:
        """Return an address that a network can fetch the file from."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """How far a post's files have come."""

    ready: tuple[Plan, ...] = ()
    missing: File | None = None
    missing_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Attachments:
    """Reads which files belong to a scheduled post."""

    shelf: Shelf

    async def gate(self, uow: UnitOfWork, row: ScheduledPost, now: datetime) -> Snooze | tuple[str, str] | None:
        """Let clean files pass; say what is in the way of others, and wait for a scan."""
        states = {media.scan_status for media, _ in await self._files(uow, row)}
        if states & {ScanStatus.INFECTED, ScanStatus.REJECTED}:
            return REFUSED, "a file of this post did not pass the scan"
        if ScanStatus.PENDING not in states:
            return None
        if now - row.scheduled_at > SCAN_PATIENCE:
            return UNSCANNED, "a file of this post has not been scanned yet"
        return Snooze(SCAN_POLL, "a file is still to be scanned")

    async def of(self, uow: UnitOfWork, row: ScheduledPost, now: datetime) -> Uploads:
        """Return what the network has, and the first file that it has not."""
        found = await uow.session.execute(
            select(RemoteMedia.media_id, RemoteMedia.remote_ref).where(RemoteMedia.scheduled_post_id == row.id)
        )
        known: dict[UUID, Plan] = {each.media_id: each.remote_ref for each in found}
        ready = []
        for media, alt_text in await self._files(uow, row):
            if media.id not in known:
                return Uploads(missing=self._file(media, alt_text, now), missing_id=media.id)
            ready.append(known[media.id])
        return Uploads(ready=tuple(ready))

    def _file(self, media: Media, alt_text: str, now: datetime) -> File:
        key, scanned = media.storage_key, media.sha256
        media_type = media.detected_type or media.declared_type

        async def load() -> bytes:
            try:
                content = await self.shelf.load(key, at_most=LARGEST)
            except AuthExpired as error:  # the store's, not the network's
                raise Transient(str(error), code=error.code) from error
            if hashlib.sha256(content).digest() != scanned:
                raise Rejected("a file of this post is not the one that was scanned", code=CHANGED)
            try:
                return without_metadata(content, media_type)
            except Damaged as error:
                raise Rejected(str(error), code=DAMAGED) from error

        return File(
            media_type=media_type,
            alt_text=alt_text,
            load=load,
            link=lambda: self.shelf.link(key, now=now, lasts=LINK_LASTS),
        )

    async def _files(self, uow: UnitOfWork, row: ScheduledPost) -> Sequence[tuple[Media, str]]:
        found = await uow.session.execute(
            select(Media, PostMedia.alt_text)
            .join(PostMedia, PostMedia.media_id == Media.id)
            .where(PostMedia.organization_id == row.organization_id, PostMedia.post_id == row.post_id)
            .order_by(PostMedia.position)
        )
        return [(media, alt_text) for media, alt_text in found]
