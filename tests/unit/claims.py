"""A job as a claim returns it, for tests without a database."""

from __future__ import annotations

from uuid import UUID

from pgqueue.outcome import Claimed

_CLAIMED = Claimed(
    id=7,
    queue="default",
    kind="Greet",
    payload_version=1,
    args="{}",
    organization_id="acme",
    user_id="ann",
    correlation_id=str(UUID(int=1)),
    trace_id=str(UUID(int=2)),
    attempt=1,
    max_attempts=3,
    claims=5,
    crashes=0,
    refusals=0,
    cancel_requested=False,
    doomed=None,
    enqueued=1_700_000_000.0,
    waited=0.25,
    expires_in=3600.0,
)


def claimed(**changes: object) -> Claimed:
    return _CLAIMED._replace(**changes)  # type: ignore[arg-type]  # any field, checked by the tuple itself
