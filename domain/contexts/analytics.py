"""What the networks tell of what is published, and which texts are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.gateways.embeddings import embedder
from domain.gateways.mastodon_reading import MastodonReader
from domain.gateways.reading import Readers
from domain.use_cases.analytics.accounts import FanOutAccountMetrics, SyncAccountMetrics
from domain.use_cases.analytics.asking import Asking
from domain.use_cases.analytics.comments import BuryComments, CaptureComments, FanOutComments
from domain.use_cases.analytics.posts import FanOutPostMetrics, SyncPostMetrics
from domain.use_cases.analytics.similarity import GenerateEmbedding, SimilarPosts
from domain.use_cases.forms import OneOrSweep

if TYPE_CHECKING:
    from datetime import date, datetime
    from uuid import UUID

    from domain.contexts import Parts


@dataclass(frozen=True, slots=True)
class Analytics:
    """The use cases of this context."""

    sync_post_metrics: OneOrSweep[UUID, datetime | None]
    sync_account_metrics: OneOrSweep[UUID, date | None]
    capture_comments: OneOrSweep[UUID, datetime | None]
    bury_comments: BuryComments
    generate_embedding: GenerateEmbedding
    similar_posts: SimilarPosts


def analytics(parts: Parts) -> Analytics:
    """Put the context together."""
    deadline = parts.configuration.network_deadline
    readers = Readers({"mastodon": MastodonReader(parts.outside, parts.breakers, deadline=deadline)})
    asking = Asking(parts.units, readers, parts.vault)
    provider = embedder(parts.configuration, parts.http, parts.breakers)
    return Analytics(
        sync_post_metrics=OneOrSweep(SyncPostMetrics(parts.units, asking), FanOutPostMetrics(parts.units)),
        sync_account_metrics=OneOrSweep(SyncAccountMetrics(parts.units, asking), FanOutAccountMetrics(parts.units)),
        capture_comments=OneOrSweep(CaptureComments(parts.units, asking), FanOutComments(parts.units)),
        bury_comments=BuryComments(parts.units),
        generate_embedding=GenerateEmbedding(parts.units, provider),
        similar_posts=SimilarPosts(parts.units, provider),
    )
