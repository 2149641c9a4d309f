"""The queue's tables for SQLAlchemy: what the migrations make, for `alembic check` and for typed queries by hand.

    jobs = pgqueue.schema.metadata().tables["pgqueue.jobs"]

Only described here, never created from here: the revisions in `pgqueue.migrations` do that.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pgqueue.schema import around, business, guards, life, limits, schedules, sources, supervision

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_DAY = re.compile(r"^finished_jobs_(later|[0-9]{8})$")


@cache
def metadata(schema: str = "pgqueue") -> sa.MetaData:
    """Describe the tables of a queue that lives in ``schema``."""
    tables = sa.MetaData(schema=schema)
    clock = sa.text(f"{schema}.clock()")
    around.queues(tables, clock)
    around.processes(tables, clock)
    life.outbox(tables, clock)
    life.jobs(tables)
    life.pins(tables, clock)
    life.dead_jobs(tables, clock)
    life.finished_jobs(tables)
    business.merged_jobs(tables, clock)
    sources.sources(tables, clock)
    schedules.schedules(tables, clock)
    schedules.schedule_runs(tables, clock)
    business.unique(tables)
    business.effects(tables, clock)
    supervision.overrides(tables, clock)
    limits.limits(tables, clock)
    limits.rates(tables)
    limits.fairness(tables, clock)
    guards.actions(tables, clock)
    guards.breakers(tables, clock)
    guards.alerts(tables, clock)
    return tables


def include_name(name: str | None, kind: str, parents: MutableMapping[Any, Any]) -> bool:
    """For Alembic's `include_name`: leave out the days of finished_jobs, which come and go without a migration."""
    return not (kind == "table" and name is not None and _DAY.match(name) and parents.get("schema_name"))
