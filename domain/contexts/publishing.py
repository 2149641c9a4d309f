"""Posts on the networks: from a user's wish to the network's word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.gateways.mastodon import Mastodon
from domain.use_cases.publishing import PublishScheduledPost
from domain.use_cases.retrying import BuryPublication, RetryPublication, RetryPublish
from domain.use_cases.scheduling import DispatchDuePosts, SchedulePost

if TYPE_CHECKING:
    from domain.contexts import Parts


@dataclass(frozen=True, slots=True)
class Publishing:
    """The use cases of this context."""

    schedule_post: SchedulePost
    dispatch_due_posts: DispatchDuePosts
    publish_scheduled_post: PublishScheduledPost
    retry_publication: RetryPublication
    retry_publish: RetryPublish
    bury_publication: BuryPublication


def publishing(parts: Parts) -> Publishing:
    """Put the context together."""
    mastodon = Mastodon(parts.http, parts.breakers, deadline=parts.configuration.network_deadline)
    dispatch = DispatchDuePosts(parts.units)
    publish = PublishScheduledPost(parts.units, mastodon, parts.vault)
    return Publishing(
        schedule_post=SchedulePost(parts.units, dispatch),
        dispatch_due_posts=dispatch,
        publish_scheduled_post=publish,
        retry_publication=RetryPublication(parts.units),
        retry_publish=RetryPublish(publish),
        bury_publication=BuryPublication(parts.units),
    )
