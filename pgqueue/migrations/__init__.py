"""The queue's Alembic branch, for any application's own Alembic.

# alembic.ini: version_locations = migrations/versions, or from env.py:
config.set_main_option("version_locations", f"migrations/versions {pgqueue.migrations.version_location()}")
context.configure(..., include_object=pgqueue.migrations.include_object)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.schema import SchemaItem

BRANCH = "pgqueue"
VERSION = 2
"""The schema that this version of the package is made for; the newest revision stamps it."""


def version_location() -> str:
    """Return the folder of the queue's revisions, for ``version_locations``."""
    return str(Path(__file__).with_name("versions"))


def leave_out(schema: str = "pgqueue") -> Callable[[SchemaItem, str | None, str, bool, SchemaItem | None], bool]:
    """Make an ``include_object`` for a schema of another name."""

    def include(item: SchemaItem, _name: str | None, _kind: str, _reflected: bool, _other: SchemaItem | None) -> bool:  # noqa: FBT001 - Alembic's signature
        table = getattr(item, "table", item)
        return getattr(table, "schema", None) != schema

    return include


include_object = leave_out()
"""Tells autogenerate to leave the queue's tables alone (schema ``pgqueue``)."""
