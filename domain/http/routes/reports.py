"""Reports: asked for, made by a job, fetched by a signed link."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from domain.http.keyed import KeyedRoute
from domain.http.requests import App, PageWanted, Publisher, Viewer
from domain.http.shapes import Day, Model, PageOf, View, page_of

router = APIRouter(prefix="/organizations/{organization_id}/reports", tags=["reports"], route_class=KeyedRoute)


class NewReport(Model):
    """What the report is to be about."""

    kind: Literal["engagement", "audience"]
    format: Literal["csv", "pdf"]
    period_start: Annotated[Day, Field(examples=["2026-10-01"])]
    period_end: Annotated[Day, Field(examples=["2026-10-31"])]


class ReportId(View):
    """A report that is being made."""

    id: UUID


class Report(View):
    """A report, and how far it has come."""

    id: UUID
    kind: str
    format: str
    period_start: date
    period_end: date
    as_of: datetime
    status: Literal["requested", "ready", "failed", "expired"]
    byte_size: int | None
    row_count: int | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None


class Download(View):
    """Where the report can be fetched, without a session, for a quarter of an hour."""

    url: str


@router.post("", status_code=202)
async def request_report(app: App, member: Publisher, body: NewReport) -> ReportId:
    """Ask for a report of what is known now; one of a kind at a time."""
    report_id = await app.integration.request_report(
        member.context,
        body.kind,
        file_format=body.format,
        period_start=body.period_start,
        period_end=body.period_end,
    )
    return ReportId(id=report_id)


@router.get("")
async def list_reports(app: App, member: Viewer, wanted: PageWanted) -> PageOf[Report]:
    """List reports."""
    return page_of(Report, await app.reading.list_reports(member.context, wanted))


@router.get("/{report_id}")
async def get_report(app: App, member: Viewer, report_id: UUID) -> Report:
    """Show one report, and how far it has come."""
    return Report.model_validate(await app.reading.get_report(member.context, report_id))


@router.get("/{report_id}/download")
async def download_report(app: App, member: Viewer, report_id: UUID) -> Download:
    """Get a link to the file."""
    return Download(url=await app.integration.report_link(member.context, report_id))
