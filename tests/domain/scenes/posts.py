"""Scenes of posts: published, tried again, told of, counted, answered, compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from domain.jobs import (
    CaptureCommentsJob,
    ProcessScheduledPostJob,
    RefreshExpiringTokensJob,
    RetryPublishJob,
    SyncAccountMetricsJob,
    SyncPostMetricsJob,
)
from domain.standins import BlueskyStandIn
from tests.domain.measuring import three_in_the_morning
from tests.domain.networks import connect

if TYPE_CHECKING:
    from tests.domain.scenes.stage import Scene, Stage

_DUE_NOW = "UPDATE smm.scheduled_posts SET {column} = now() - interval '1 second'"


async def _scheduled_for_later(stage: Stage) -> None:
    await stage.world.schedule(when=datetime.now(UTC) + timedelta(minutes=5))
    await stage.world.execute(_DUE_NOW.format(column="scheduled_at"))
    await stage.tick(ProcessScheduledPostJob())


async def _in_flight_without_a_job(stage: Stage) -> None:
    await stage.world.schedule()
    await stage.world.execute("DELETE FROM pgqueue.outbox")
    await stage.world.execute(
        """UPDATE smm.scheduled_posts SET updated_at = updated_at - interval '15 minutes',
                                          scheduled_at = scheduled_at - interval '15 minutes'"""
    )
    await stage.tick(RetryPublishJob(cause="sweeper"))


async def _refused_by_the_network(stage: Stage) -> None:
    stage.world.network.faults.set("reject")
    await stage.world.schedule()
    await stage.world.work()


async def _published(stage: Stage) -> None:
    await stage.world.schedule()
    await stage.world.work()


async def _later(stage: Stage, kind: str) -> None:
    """Let the time come that the jobs of a kind wait for."""
    await stage.world.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock() WHERE kind = :kind", kind=kind)
    await stage.world.work()


async def _numbers_are_due(stage: Stage) -> None:
    await _published(stage)
    await _later(stage, "SyncPostMetricsJob")
    await stage.world.execute(_DUE_NOW.format(column="next_metrics_at"))
    await stage.tick(SyncPostMetricsJob())


async def _numbers_of_accounts(stage: Stage) -> None:
    await three_in_the_morning(stage.world)
    await stage.tick(SyncAccountMetricsJob())
    await _later(stage, "SyncAccountMetricsJob")
    [numbers] = await stage.world.rows("SELECT social_account_id FROM smm.account_metrics")
    assert numbers.social_account_id == stage.world.tenant.account_id


async def _somebody_answers(stage: Stage) -> None:
    await _published(stage)
    await _later(stage, "CaptureCommentsJob")
    [post] = await stage.world.rows("SELECT external_id FROM smm.scheduled_posts")
    stage.world.network.audience.answer(post.external_id, "bia", "<p>que bom</p>")
    await stage.world.execute(_DUE_NOW.format(column="next_comments_at"))
    await stage.tick(CaptureCommentsJob())


async def _tokens_end_soon(stage: Stage) -> None:
    network = stage.doors.enter_context(BlueskyStandIn())
    stage.networks.append(network)
    await connect(stage.world, "bluesky", network)
    await stage.world.execute(
        "UPDATE smm.social_accounts SET access_expires_at = now() + interval '5 minutes' WHERE provider = 'bluesky'"
    )
    await stage.tick(RefreshExpiringTokensJob())


SCENES: dict[str, Scene] = {
    "ProcessScheduledPostJob": _scheduled_for_later,
    "RetryPublishJob": _in_flight_without_a_job,
    "NotifyPublishResultJob": _refused_by_the_network,
    "SyncPostMetricsJob": _numbers_are_due,
    "SyncAccountMetricsJob": _numbers_of_accounts,
    "CaptureCommentsJob": _somebody_answers,
    "GenerateEmbeddingJob": _published,
    "RefreshExpiringTokensJob": _tokens_end_soon,
}
