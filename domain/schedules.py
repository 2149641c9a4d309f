"""What recurs, in UTC: one job for each tick, however many workers there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.jobs import DispatchDuePostsJob, RefreshExpiringTokensJob, SweepStuckPostsJob, SweepUnscannedMediaJob
from domain.models import SYSTEM_ORGANIZATION, SYSTEM_USER
from pgqueue import Context, Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEM: Final = Context(str(SYSTEM_ORGANIZATION), str(SYSTEM_USER))

MEDIA: Sequence[Schedule] = [
    Schedule("sweep_unscanned_media", SweepUnscannedMediaJob(), every="10m", context=SYSTEM),
]
PUBLISHING: Sequence[Schedule] = [
    Schedule("dispatch_due_posts", DispatchDuePostsJob(), every="10s", context=SYSTEM),
    Schedule("sweep_stuck_posts", SweepStuckPostsJob(), every="2m", context=SYSTEM),
    Schedule("refresh_expiring_tokens", RefreshExpiringTokensJob(), every="5m", context=SYSTEM),
]

SCHEDULES: Final[Sequence[Schedule]] = [
    *PUBLISHING,
    *MEDIA,
]
