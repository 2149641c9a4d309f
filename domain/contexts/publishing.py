"""Posts on the networks: from a user's wish to the network's word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.gateways import bluesky, instagram, linkedin, mastodon
from domain.gateways.networks import Networks
from domain.use_cases.attachments import Attachments
from domain.use_cases.forms import OneOrSweep
from domain.use_cases.preparing import Preparation
from domain.use_cases.publishing import PublishScheduledPost
from domain.use_cases.renewing import RefreshExpiringTokens, RenewTokens, SweepExpiringTokens
from domain.use_cases.retrying import BuryPublication, RetryPublication, RetryPublish
from domain.use_cases.scheduling import DispatchDuePosts, SchedulePost
from domain.use_cases.sweeping import FindPublications, ResumePublications, SweepStuckPosts

if TYPE_CHECKING:
    from uuid import UUID

    from domain.contexts import Parts


@dataclass(frozen=True, slots=True)
class Publishing:
    """The use cases of this context."""

    networks: Networks
    schedule_post: SchedulePost
    dispatch_due_posts: DispatchDuePosts
    publish_scheduled_post: PublishScheduledPost
    process_scheduled_post: OneOrSweep[UUID, int | None]
    retry_publication: RetryPublication
    retry_publish: OneOrSweep[UUID]
    bury_publication: BuryPublication
    refresh_expiring_tokens: OneOrSweep[UUID, int | None]


def publishing(parts: Parts) -> Publishing:
    """Put the context together."""
    units, networks = parts.units, networks_of(parts)
    dispatch = DispatchDuePosts(units)
    renew = RenewTokens(units, networks, parts.vault)
    prepare = Preparation(networks, parts.vault, Attachments(parts.storage))
    publish = PublishScheduledPost(units, prepare, renew)
    find = FindPublications(ResumePublications(units), SweepStuckPosts(units))
    return Publishing(
        networks=networks,
        schedule_post=SchedulePost(units, networks, dispatch),
        dispatch_due_posts=dispatch,
        publish_scheduled_post=publish,
        process_scheduled_post=OneOrSweep(publish, dispatch),
        retry_publication=RetryPublication(units),
        retry_publish=OneOrSweep(RetryPublish(publish), find),
        bury_publication=BuryPublication(units),
        refresh_expiring_tokens=OneOrSweep(RefreshExpiringTokens(renew), SweepExpiringTokens(units, networks)),
    )


def networks_of(parts: Parts) -> Networks:
    """Make an adapter of each network."""
    http, breakers, deadline = parts.outside, parts.breakers, parts.configuration.network_deadline
    return Networks(
        {
            mastodon.PROVIDER: mastodon.Mastodon(http, breakers, deadline=deadline),
            bluesky.PROVIDER: bluesky.Bluesky(http, breakers, deadline=deadline),
            instagram.PROVIDER: instagram.Instagram(http, breakers, deadline=deadline),
            linkedin.PROVIDER: linkedin.LinkedIn(http, breakers, deadline=deadline),
        }
    )
