"""Reports: RequestReport, GenerateReport, BuryReport and ReportLink."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from typing import IO, TYPE_CHECKING, Any, Literal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from domain.events import ReportFailed, ReportReady, ReportRequested
from domain.gateways.documents import BOM, Page, csv_line, pdf
from domain.gateways.failures import Postponed, Rejected
from domain.gateways.storage import EXISTS, Stored
from domain.models import Organization, Report, ReportStatus, new_id, transition
from domain.use_cases.clock import database_now
from domain.use_cases.integration.outgoing import tell_endpoints
from domain.use_cases.integration.report_kinds import KINDS, cells, zone_of
from domain.use_cases.notices import give_notice
from pgqueue import Discard, Outcome, Snooze

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.gateways.storage import Storage
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Context, Death, JobContext

KEPT = timedelta(days=30)
LINK_LASTS = timedelta(minutes=15)
LONGEST = timedelta(days=366)
MOST_BYTES = 1 << 30
MOST_PDF_ROWS = 2_000
DEAD_LETTER = "dead_letter"
_AT_ONCE = 500
_CHUNK = 1 << 18
_IN_MEMORY = 1 << 20
_TYPES = {"csv": "csv", "pdf": "pdf"}


class InvalidReport(Exception):
    """A report that cannot be asked for like this; the message is for the user."""


class ReportRunning(Exception):
    """One of this kind is being made already."""


class NoSuchReport(Exception):
    """There is no such report in this organization, or it cannot be fetched (any more)."""


@dataclass(frozen=True, slots=True)
class RequestReport:
    """Ask for a report; what it says is fixed as of now."""

    units: UnitsOfWork

    async def __call__(
        self, context: Context, kind: str, *, file_format: Literal["csv", "pdf"], period_start: date, period_end: date
    ) -> UUID:
        """Return the report's id. Raises `InvalidReport`, `ReportRunning`."""
        if kind not in KINDS:
            raise InvalidReport(f"unknown kind {kind!r}; known are {', '.join(KINDS)}")
        if file_format not in _TYPES:
            raise InvalidReport(f"unknown format {file_format!r}; known are {', '.join(_TYPES)}")
        if not timedelta(0) <= period_end - period_start <= LONGEST:
            raise InvalidReport("the period has to end after it begins, and to be no longer than a year")
        report_id = new_id()
        try:
            async with self.units.begin(context) as uow:
                uow.session.add(
                    Report(
                        id=report_id,
                        organization_id=uow.organization_id,
                        requested_by=uow.user_id,
                        kind=kind,
                        format=file_format,
                        period_start=period_start,
                        period_end=period_end,
                        as_of=await database_now(uow),
                    )
                )
                await uow.session.flush()
                await uow.publish(ReportRequested(report_id=report_id))
        except IntegrityError as error:
            if "reports_requested" not in str(error.orig):
                raise
            raise ReportRunning(f"a report of the kind {kind} is being made already") from error
        return report_id


@dataclass(frozen=True, slots=True)
class GenerateReport:
    """Make one report; made twice it is the same, byte by byte."""

    units: UnitsOfWork
    storage: Storage

    async def __call__(self, ctx: JobContext, report_id: UUID) -> Outcome | None:
        """Read, write the file, store it, and say that it is ready."""
        async with self.units.begin(ctx.context) as uow:
            report = await _locked(uow, report_id)
            if report is None:
                return Discard("there is no such report in this organization")
            if report.status == ReportStatus.FAILED and report.error == DEAD_LETTER:  # requeued from the dead letters
                transition(report, ReportStatus.REQUESTED)
                report.error = report.finished_at = None
            if report.status != ReportStatus.REQUESTED:
                return None
            organization = await uow.session.get_one(Organization, report.organization_id)
            zone = organization.timezone
        key = f"reports/{report.organization_id}/{report.id}.{report.format}"
        # on disk when it is large: no transaction is open while it is stored
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            try:
                count = await self._write(report, zone, file)
                stored = await self._keep(key, file)
            except Rejected as error:
                return await self._fail(ctx, report_id, error)
            except Postponed as error:
                return Snooze(error.wait, f"{error.code}: {error}")
        await self._ready(ctx, report_id, key, stored, count)
        return None

    async def _write(self, report: Report, zone_name: str, file: IO[bytes]) -> int:
        """Write the report into a file and return how many rows it has."""
        kind, zone = KINDS[report.kind], zone_of(zone_name)
        shown: list[Any] = []
        count = 0
        if report.format == "csv":
            file.write(BOM + csv_line(kind.columns))
        async with self.units.sessions() as session:
            # one view of the data from the first row to the last
            await session.connection(
                execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            )
            rows = await session.stream(kind.query(report, zone), execution_options={"yield_per": _AT_ONCE})
            async for row in rows:
                count += 1
                if report.format == "csv":
                    file.write(csv_line(cells(row, zone)))
                elif count <= MOST_PDF_ROWS:
                    shown.append(cells(row, zone))
        if report.format == "csv":
            return count
        subtitle = f"{report.period_start} – {report.period_end} · {report.as_of.astimezone(zone):%Y-%m-%d %H:%M %Z}"  # noqa: RUF001 - typeset
        whole = f"{count} rows" if count != 1 else "1 row"
        note = whole if count <= MOST_PDF_ROWS else f"the first {MOST_PDF_ROWS} of {whole}; the CSV has all of them"
        file.write(await pdf(Page(kind.title, subtitle, kind.columns, kind.numeric, shown, note)))
        return count

    async def _keep(self, key: str, file: IO[bytes]) -> Stored:
        file.seek(0)
        try:
            return await self.storage.write(key, _chunks(file), at_most=MOST_BYTES)
        except Rejected as error:
            if error.code != EXISTS:
                raise
        # an earlier run was cut off after this: what is there is what counts
        digest, size = hashlib.sha256(), 0
        async for chunk in self.storage.read(key):
            digest.update(chunk)
            size += len(chunk)
        return Stored(size, digest.digest())

    async def _ready(self, ctx: JobContext, report_id: UUID, key: str, stored: Stored, count: int) -> None:
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            report = await _locked(uow, report_id)
            if report is None or report.status != ReportStatus.REQUESTED:
                return
            now = await database_now(uow)
            report.storage_key, report.byte_size, report.sha256 = key, stored.size, stored.sha256
            report.row_count, report.finished_at, report.expires_at = count, now, now + KEPT
            transition(report, ReportStatus.READY)
            await uow.publish(ReportReady(report_id=report.id))
            link = f"/reports/{report.id}"
            await give_notice(uow, [report.requested_by], "report_ready", key=f"report_ready:{report.id}", link=link)
            data = {"report_id": str(report.id), "kind": report.kind, "format": report.format}
            await tell_endpoints(uow, "report.ready", data)

    async def _fail(self, ctx: JobContext, report_id: UUID, error: Rejected) -> Outcome:
        async with self.units.begin(ctx.context) as uow:
            await _failed(uow, report_id, code=error.code)
        return Discard(f"{error.code}: {error}")


@dataclass(frozen=True, slots=True)
class BuryReport:
    """The job died: the report was not made."""

    units: UnitsOfWork

    async def __call__(self, session: AsyncSession, report_id: UUID, death: Death) -> None:
        """Leave the report `failed`; another can be asked for."""
        await _failed(self.units.join(session, death.context), report_id, code=DEAD_LETTER)


@dataclass(frozen=True, slots=True)
class ReportLink:
    """Give an address under which a report can be fetched for a quarter of an hour."""

    units: UnitsOfWork
    storage: Storage

    async def __call__(self, context: Context, report_id: UUID) -> str:
        """Return the link. Raises `NoSuchReport`."""
        async with self.units.begin(context) as uow:
            report = await _locked(uow, report_id)
            now = await database_now(uow)
        ready = report is not None and report.status == ReportStatus.READY
        if report is None or report.storage_key is None or report.expires_at is None or not ready:
            raise NoSuchReport(f"report {report_id} does not exist in this organization, or is not ready")
        if report.expires_at <= now:
            raise NoSuchReport(f"report {report_id} has expired; ask for it anew")
        return await self.storage.link(report.storage_key, now=now, lasts=LINK_LASTS)


async def _locked(uow: UnitOfWork, report_id: UUID) -> Report | None:
    return await uow.session.scalar(
        select(Report).where(Report.organization_id == uow.organization_id, Report.id == report_id).with_for_update()
    )


async def _failed(uow: UnitOfWork, report_id: UUID, *, code: str) -> None:
    report = await _locked(uow, report_id)
    if report is None or report.status != ReportStatus.REQUESTED:
        return
    transition(report, ReportStatus.FAILED)
    report.error, report.finished_at = code, await database_now(uow)
    await uow.publish(ReportFailed(report_id=report.id, code=code))
    key = f"report_failed:{report.id}"
    await give_notice(uow, [report.requested_by], "report_failed", key=key)


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
