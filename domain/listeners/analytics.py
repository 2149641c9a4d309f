"""What is asked and computed because of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.jobs import CaptureCommentsJob, GenerateEmbeddingJob, SyncAccountMetricsJob, SyncPostMetricsJob

if TYPE_CHECKING:
    from domain.events import CommentsCaptured, PostEdited, PostPublished, SocialAccountConnected
    from domain.unit_of_work import UnitOfWork

FIRST_NUMBERS = "15m"
FIRST_COMMENTS = "10m"


async def follow_post(uow: UnitOfWork, event: PostPublished) -> None:
    """Ask for the first numbers and answers after a while, and embed the text."""
    await uow.dispatch(SyncPostMetricsJob(scheduled_post_id=event.scheduled_post_id), delay=FIRST_NUMBERS)
    await uow.dispatch(CaptureCommentsJob(scheduled_post_id=event.scheduled_post_id), delay=FIRST_COMMENTS)
    await uow.dispatch(GenerateEmbeddingJob(subject_type="publication", subject_id=event.scheduled_post_id))


async def embed_post(uow: UnitOfWork, event: PostEdited) -> None:
    """Embed the new text."""
    await uow.dispatch(GenerateEmbeddingJob(subject_type="post", subject_id=event.post_id))


async def embed_comments(uow: UnitOfWork, event: CommentsCaptured) -> None:
    """Embed the new answers."""
    for comment_id in event.comment_ids:
        await uow.dispatch(GenerateEmbeddingJob(subject_type="comment", subject_id=comment_id))


async def follow_account(uow: UnitOfWork, event: SocialAccountConnected) -> None:
    """Ask for the first numbers of the account."""
    await uow.dispatch(SyncAccountMetricsJob(social_account_id=event.social_account_id))
