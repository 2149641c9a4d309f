"""What a file that did not pass the scan takes with it: the posts that were to show it, which say so at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.models import PostMedia, PostStatus, ScheduledPost
from domain.use_cases.attachments import REFUSED
from domain.use_cases.integration.outgoing import tell_endpoints
from domain.use_cases.notices import administrators, give_notice
from domain.use_cases.publications import fail

if TYPE_CHECKING:
    from domain.models import Media
    from domain.unit_of_work import UnitOfWork

_NOT_STARTED = (PostStatus.SCHEDULED, PostStatus.DISPATCHED)


async def refuse_with(uow: UnitOfWork, media: Media) -> None:
    """Fail what has not begun, and tell the uploader, the administrators and their endpoints.

    What is just being taken up looks at its files by itself, and what is paused does when it goes on.
    """
    posts = await uow.session.scalars(
        select(ScheduledPost)
        .where(
            ScheduledPost.organization_id == media.organization_id,
            ScheduledPost.post_id.in_(select(PostMedia.post_id).where(PostMedia.media_id == media.id)),
            ScheduledPost.status.in_(_NOT_STARTED),
        )
        .order_by(ScheduledPost.id)
        .with_for_update(skip_locked=True)
    )
    for post in posts.all():
        await fail(uow, post, code=REFUSED, message=f"the file {media.filename} is {media.scan_status}")
    await give_notice(
        uow,
        {media.uploaded_by, *await administrators(uow)},
        "media_refused",
        key=f"media_refused:{media.id}",
        filename=media.filename,
        reason=media.scan_status,
    )
    await tell_endpoints(uow, "media.rejected", {"media_id": str(media.id), "status": media.scan_status})
