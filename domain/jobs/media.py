"""Jobs of the queue `media-processing`: each calls one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from pgqueue import Job, Retry, Unique

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.composition import Application
    from pgqueue import Death, JobContext, Outcome


class MediaJob(Job, abstract=True, queue="media-processing", timeout="300s"):
    """The policy of everything that opens an uploaded file."""


class ScanMediaJob(
    MediaJob,
    unique=Unique("media_id"),
    retry=Retry(max_attempts=2, backoff=["60s", "300s"]),
    idempotency="state check",
    use_case="ScanMedia or SweepUnscannedMedia",
    dispatched_by=("MediaUploaded", "schedule sweep_unscanned_media", "SweepUnscannedMedia"),
):
    """Look whether an uploaded file may be used; without one, dispatch the scans that are overdue."""

    media_id: UUID | None = None

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.media.scan_media(ctx, self.media_id)


class GenerateThumbnailJob(
    MediaJob,
    unique=Unique("media_id"),
    retry=Retry(max_attempts=3, backoff=["60s", "300s", "900s"]),
    executor="process",
    memory="768MB",
    cpu="60s",
    idempotency="state check",
    use_case="GenerateThumbnail",
    dispatched_by=("MediaCleared",),
):
    """Make the small picture of a file. The decoder may crash: it takes nobody along."""

    media_id: UUID

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.media.generate_thumbnail(self.media_id, ctx)

    async def on_dead(self, app: Application, session: AsyncSession, death: Death) -> None:
        """Say that there will be no small picture."""
        await app.media.bury_thumbnail(session, self.media_id, death)
