"""What can be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.use_cases.choosing import ListPreferences
from domain.use_cases.reading.accounts import GetAccount, ListAccounts
from domain.use_cases.reading.analytics import ListAccountMetrics, ListComments, ListPostMetrics
from domain.use_cases.reading.files import GetMedia, ListMedia, OpenFile
from domain.use_cases.reading.integration import GetEndpoint, GetReport, ListDeliveries, ListEndpoints, ListReports
from domain.use_cases.reading.notices import ListNotices, MarkNoticesRead
from domain.use_cases.reading.oneself import CheckHealth, WhoAmI
from domain.use_cases.reading.posts import GetPost, GetPublication, ListPosts, ListPublications

if TYPE_CHECKING:
    from domain.contexts import Parts


@dataclass(frozen=True, slots=True)
class Reading:
    """The use cases of this context."""

    check_health: CheckHealth
    get_account: GetAccount
    get_endpoint: GetEndpoint
    get_media: GetMedia
    get_post: GetPost
    get_publication: GetPublication
    get_report: GetReport
    list_account_metrics: ListAccountMetrics
    list_accounts: ListAccounts
    list_comments: ListComments
    list_deliveries: ListDeliveries
    list_endpoints: ListEndpoints
    list_media: ListMedia
    list_notices: ListNotices
    list_post_metrics: ListPostMetrics
    list_posts: ListPosts
    list_publications: ListPublications
    list_preferences: ListPreferences
    list_reports: ListReports
    mark_notices_read: MarkNoticesRead
    open_file: OpenFile
    who_am_i: WhoAmI


def reading(parts: Parts) -> Reading:
    """Put the context together."""
    units = parts.units
    return Reading(
        check_health=CheckHealth(units),
        get_account=GetAccount(units),
        get_endpoint=GetEndpoint(units),
        get_media=GetMedia(units),
        get_post=GetPost(units),
        get_publication=GetPublication(units),
        get_report=GetReport(units),
        list_account_metrics=ListAccountMetrics(units),
        list_accounts=ListAccounts(units),
        list_comments=ListComments(units),
        list_deliveries=ListDeliveries(units),
        list_endpoints=ListEndpoints(units),
        list_media=ListMedia(units),
        list_notices=ListNotices(units),
        list_post_metrics=ListPostMetrics(units),
        list_posts=ListPosts(units),
        list_publications=ListPublications(units),
        list_preferences=ListPreferences(units),
        list_reports=ListReports(units),
        mark_notices_read=MarkNoticesRead(units),
        open_file=OpenFile(units, parts.storage),
        who_am_i=WhoAmI(units),
    )
