"""ScanMedia: read a file once, and decide whether it may be used. Whatever cannot be decided stays `pending`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from domain.events import MediaCleared, MediaInfected, MediaRejected
from domain.gateways.failures import Postponed, Rejected
from domain.jobs import ScanMediaJob
from domain.models import Media, ObjectTombstone, ScanStatus, transition
from domain.use_cases.media.refusing import refuse_with
from domain.use_cases.media.sniffing import ENOUGH, sniff
from pgqueue import Context, Outcome, Snooze

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator
    from uuid import UUID

    from domain.gateways.scanner import Scanner
    from domain.gateways.storage import Storage
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import JobContext

OVERDUE = timedelta(minutes=10)
BATCH = 500


@dataclass(slots=True)
class _Seen:
    """What passed by on the way to the scanner."""

    size: int = 0
    head: bytes = b""
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    async def watch(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Pass the chunks on."""
        async for chunk in chunks:
            self.size += len(chunk)
            self.digest.update(chunk)
            if len(self.head) < ENOUGH:
                self.head += chunk[:ENOUGH]
            yield chunk


@dataclass(frozen=True, slots=True)
class _Verdict:
    status: ScanStatus
    code: str
    engine: str | None = None
    detected_type: str | None = None
    sha256: bytes | None = None


@dataclass(frozen=True, slots=True)
class ScanMedia:
    """Decide whether a file may be used; safe to call again at any moment."""

    units: UnitsOfWork
    storage: Storage
    scanner: Scanner

    async def __call__(self, ctx: JobContext, media_id: UUID) -> Outcome | None:
        """Scan the file if nobody has yet."""
        async with self.units.begin(ctx.context) as uow:
            row = await find_media(uow, media_id)
        if row is None or row.scan_status != ScanStatus.PENDING:
            return None
        try:
            verdict = await self._look(row)
        except Postponed as error:
            return Snooze(error.wait, f"{error.code}: {error}")
        quarantined = f"quarantine/{row.organization_id}/{row.id}"
        if verdict.status == ScanStatus.INFECTED:
            await self.storage.copy(row.storage_key, quarantined)
        async with ctx.transaction() as session:
            await self._settle(self.units.join(session, ctx.context), media_id, verdict, quarantined)
        return None

    async def _look(self, row: Media) -> _Verdict:
        """Stream the file once; every doubt that can end later is raised."""
        seen = _Seen()
        try:
            finding = await self.scanner.scan(seen.watch(self.storage.read(row.storage_key)))
        except Rejected as error:  # too long for the scanner, or not there: that will stay so
            return _Verdict(ScanStatus.REJECTED, error.code)
        sha256, found = seen.digest.digest(), sniff(seen.head)
        if finding.signature is not None:
            return _Verdict(ScanStatus.INFECTED, finding.signature, finding.engine, found, sha256)
        if seen.size != row.byte_size:
            return _Verdict(ScanStatus.REJECTED, "changed", finding.engine, found, sha256)
        if found is None:
            return _Verdict(ScanStatus.REJECTED, "type", finding.engine, None, sha256)
        return _Verdict(ScanStatus.CLEAN, "", finding.engine, found, sha256)

    async def _settle(self, uow: UnitOfWork, media_id: UUID, verdict: _Verdict, quarantined: str) -> None:
        row = await find_media(uow, media_id, lock=True)
        if row is None or row.scan_status != ScanStatus.PENDING:
            return  # another run was faster
        transition(row, verdict.status, column="scan_status")
        row.detected_type, row.sha256, row.scan_engine = verdict.detected_type, verdict.sha256, verdict.engine
        row.scan_detail = verdict.code.replace("\x00", "")[:200] or None
        row.scanned_at = func.clock_timestamp()
        match verdict.status:
            case ScanStatus.CLEAN:
                await uow.publish(MediaCleared(media_id=row.id))
            case ScanStatus.INFECTED:
                # the old object goes once this is committed; until then a new run finds everything it needs
                uow.session.add(
                    ObjectTombstone(storage_key=row.storage_key, organization_id=row.organization_id, reason="infected")
                )
                row.storage_key = quarantined
                await uow.publish(MediaInfected(media_id=row.id))
                await refuse_with(uow, row)
            case _:
                await uow.publish(MediaRejected(media_id=row.id, code=verdict.code))
                await refuse_with(uow, row)


@dataclass(frozen=True, slots=True)
class SweepUnscannedMedia:
    """Dispatch the scan of files that have waited too long: their job died, or never was."""

    units: UnitsOfWork

    async def __call__(self, ctx: JobContext) -> Outcome | None:
        """Dispatch one batch, oldest first, in one transaction with the job's completion."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            found = await session.execute(
                select(Media.id, Media.organization_id, Media.uploaded_by)
                .where(Media.scan_status == ScanStatus.PENDING, Media.created_at < func.clock_timestamp() - OVERDUE)
                .order_by(Media.created_at)
                .limit(BATCH)
            )
            for media_id, organization_id, uploaded_by in found.all():
                own = Context(str(organization_id), str(uploaded_by))
                await uow.dispatch(ScanMediaJob(media_id=media_id), context=own)
        return None


async def find_media(uow: UnitOfWork, media_id: UUID, *, lock: bool = False) -> Media | None:
    """Load a file of this organization."""
    query = select(Media).where(Media.organization_id == uow.organization_id, Media.id == media_id)
    return await uow.session.scalar(query.with_for_update() if lock else query)
