"""What all tables share: the schema, the types, the names of constraints."""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, DateTime, LargeBinary, MetaData, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import ARRAY, INET, JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

from domain.models.identifiers import new_id

if TYPE_CHECKING:
    from enum import StrEnum

SCHEMA = "smm"

Id = Annotated[UUID, mapped_column(primary_key=True, default=new_id)]
CreatedAt = Annotated[datetime, mapped_column(server_default=func.now())]
UpdatedAt = Annotated[datetime, mapped_column(server_default=func.now(), onupdate=func.clock_timestamp())]
Document = Annotated[dict[str, Any], mapped_column(default=dict, server_default=text("'{}'::jsonb"))]
Words = Annotated[list[str], mapped_column(ARRAY(Text), default=list, server_default=text("'{}'::text[]"))]
Address = IPv4Address | IPv6Address


class Base(DeclarativeBase):
    """The domain's metadata: everything lives in the schema ``smm``."""

    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "ck": "%(table_name)s_%(constraint_name)s",
            "ix": "%(table_name)s_%(column_0_N_name)s",
        },
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it so
        datetime: DateTime(timezone=True),
        str: Text(),
        bytes: LargeBinary(),
        UUID: Uuid(),
        Address: INET(),
        dict[str, Any]: JSONB(),
    }


def one_of(column: str, values: type[StrEnum] | tuple[str, ...], *, name: str = "") -> CheckConstraint:
    """Make the check that a column holds one of the known words."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name or f"{column}_known")


def needs(state: str, *columns: str, column: str = "status") -> CheckConstraint:
    """Make the check that a row in this state has the columns without which the state makes no sense."""
    filled = " AND ".join(f"{needed} IS NOT NULL" for needed in columns)
    return CheckConstraint(f"{column} <> '{state}' OR ({filled})", name=f"{state}_is_complete")


def sha256_of(column: str) -> Computed:
    """Make the column that is always the hash of a text: the database computes it, so that it cannot lie."""
    # decode(…, 'escape') is the immutable way from text to bytes; the replacement keeps backslashes what they are
    return Computed(
        rf"sha256(decode(replace({column}, '\'::text, '\\'::text), 'escape'::text))",
        persisted=True,
    )
