"""What the networks tell of what is published, and which texts are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.contexts.publishing import networks_of
from domain.gateways import bluesky, instagram, linkedin, mastodon
from domain.gateways.bluesky_reading import BlueskyReader
from domain.gateways.embeddings import embedder
from domain.gateways.instagram_reading import InstagramReader
from domain.gateways.linkedin_reading import LinkedInReader
from domain.gateways.mastodon_reading import MastodonReader
from domain.gateways.reading import Readers
from domain.use_cases.analytics.accounts import FanOutAccountMetrics, SyncAccountMetrics
from domain.use_cases.analytics.asking import Asking
from domain.use_cases.analytics.comments import BuryComments, CaptureComments, FanOutComments
from domain.use_cases.analytics.posts import FanOutPostMetrics, SyncPostMetrics
from domain.use_cases.analytics.similarity import GenerateEmbedding, SimilarPosts
from domain.use_cases.forms import OneOrSweep
from domain.use_cases.renewing import RenewTokens

if TYPE_CHECKING:
    from datetime import date, datetime
    from uuid import UUID

    from domain.contexts import Parts


@dataclass(frozen=True, slots=True)
class Analytics:
    """The use cases of this context."""

    sync_post_metrics: OneOrSweep[UUID, datetime | None]
    sync_account_metrics: OneOrSweep[UUID, date | None]
    capture_comments: OneOrSweep[UUID, datetime | None, int]
    bury_comments: BuryComments
    generate_embedding: GenerateEmbedding
    similar_posts: SimilarPosts


def analytics(parts: Parts) -> Analytics:
    """Put the context together."""
    renew = RenewTokens(parts.units, networks_of(parts), parts.vault)
    asking = Asking(parts.units, readers_of(parts), parts.vault, renew)
    provider = embedder(parts.configuration, parts.http, parts.breakers)
    return Analytics(
        sync_post_metrics=OneOrSweep(SyncPostMetrics(parts.units, asking), FanOutPostMetrics(parts.units)),
        sync_account_metrics=OneOrSweep(SyncAccountMetrics(parts.units, asking), FanOutAccountMetrics(parts.units)),
        capture_comments=OneOrSweep(CaptureComments(parts.units, asking), FanOutComments(parts.units)),
        bury_comments=BuryComments(parts.units),
        generate_embedding=GenerateEmbedding(parts.units, provider),
        similar_posts=SimilarPosts(parts.units, provider),
    )


def readers_of(parts: Parts) -> Readers:
    """Make a reader of each network."""
    http, breakers, deadline = parts.outside, parts.breakers, parts.configuration.network_deadline
    return Readers(
        {
            mastodon.PROVIDER: MastodonReader(http, breakers, deadline=deadline),
            bluesky.PROVIDER: BlueskyReader(http, breakers, deadline=deadline),
            instagram.PROVIDER: InstagramReader(http, breakers, deadline=deadline),
            linkedin.PROVIDER: LinkedInReader(http, breakers, deadline=deadline),
        }
    )
