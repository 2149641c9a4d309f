"""The kinds of report: which columns, from which rows, as they were at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Select, and_, select, true

from domain.models import AccountMetrics, Post, PostMetrics, PostStatus, ScheduledPost, SocialAccount

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from domain.gateways.documents import Cell
    from domain.models import Report


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of report."""

    title: str
    columns: Sequence[str]
    numeric: Sequence[bool]
    query: Callable[[Report, ZoneInfo], Select[*tuple[Any, ...]]]


def zone_of(name: str) -> ZoneInfo:
    """Return an organization's time zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def cells(row: Sequence[Any], zone: ZoneInfo) -> list[Cell]:
    """Turn a row into what is written: times by the organization's clock, numbers as they are, NULL as nothing."""
    return [_cell(value, zone) for value in row]


def _cell(value: Any, zone: ZoneInfo) -> Cell:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return value.astimezone(zone).isoformat(sep=" ", timespec="minutes") if isinstance(value, datetime) else str(value)


def _engagement(report: Report, zone: ZoneInfo) -> Select[*tuple[Any, ...]]:
    start, end = _instants(report, zone)
    latest = (
        select(PostMetrics)
        .where(PostMetrics.scheduled_post_id == ScheduledPost.id, PostMetrics.captured_at <= report.as_of)
        .order_by(PostMetrics.bucket.desc())
        .limit(1)
        .lateral("latest")
    )
    return (
        select(
            ScheduledPost.published_at,
            SocialAccount.provider,
            SocialAccount.handle,
            Post.body,
            ScheduledPost.permalink,
            latest.c.impressions,
            latest.c.likes,
            latest.c.reposts,
            latest.c.replies,
        )
        .join(Post, and_(Post.organization_id == ScheduledPost.organization_id, Post.id == ScheduledPost.post_id))
        .join(SocialAccount, SocialAccount.id == ScheduledPost.social_account_id)
        .outerjoin(latest, true())
        .where(
            ScheduledPost.organization_id == report.organization_id,
            ScheduledPost.status == PostStatus.PUBLISHED,
            ScheduledPost.published_at >= start,
            ScheduledPost.published_at < end,
            ScheduledPost.published_at <= report.as_of,
        )
        .order_by(ScheduledPost.published_at, ScheduledPost.id)
    )


def _audience(report: Report, _: ZoneInfo) -> Select[*tuple[Any, ...]]:
    query: Select[*tuple[Any, ...]] = (
        select(
            AccountMetrics.day,
            SocialAccount.provider,
            SocialAccount.handle,
            AccountMetrics.followers,
            AccountMetrics.following,
            AccountMetrics.posts,
        )
        .join(SocialAccount, SocialAccount.id == AccountMetrics.social_account_id)
        .where(
            AccountMetrics.organization_id == report.organization_id,
            AccountMetrics.day.between(report.period_start, report.period_end),
            AccountMetrics.captured_at <= report.as_of,
        )
        .order_by(AccountMetrics.day, SocialAccount.provider, SocialAccount.handle, SocialAccount.id)
    )
    return query


def _instants(report: Report, zone: ZoneInfo) -> tuple[datetime, datetime]:
    start = datetime.combine(report.period_start, datetime.min.time(), zone)
    end = datetime.combine(report.period_end + timedelta(days=1), datetime.min.time(), zone)
    return start.astimezone(UTC), end.astimezone(UTC)


KINDS: Mapping[str, Kind] = {
    "engagement": Kind(
        "Engagement",
        ("published_at", "network", "account", "text", "link", "impressions", "likes", "reposts", "replies"),
        (False, False, False, False, False, True, True, True, True),
        _engagement,
    ),
    "audience": Kind(
        "Audience",
        ("day", "network", "account", "followers", "following", "posts"),
        (False, False, False, True, True, True),
        _audience,
    ),
}
