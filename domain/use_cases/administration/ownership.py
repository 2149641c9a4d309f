"""What becomes of organizations when somebody leaves for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from domain.models import Membership, Organization, OrganizationStatus

if TYPE_CHECKING:
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork


class Ownership(NamedTuple):
    """The organizations that nobody else owns."""

    alone: tuple[UUID, ...]
    """Nobody else is in them: they go with their owner."""
    shared: tuple[UUID, ...]
    """Others are in them: somebody has to become an owner first."""


async def sole_ownership(uow: UnitOfWork, user_id: UUID, *, lock: bool = False) -> Ownership:
    """Find the organizations that would be left without an owner. ``lock``: nobody may join or leave meanwhile."""
    mine = (
        select(Organization.id)
        .join(Membership, Membership.organization_id == Organization.id)
        .where(
            Membership.user_id == user_id,
            Membership.role == "owner",
            Organization.status != OrganizationStatus.DELETED,
        )
        .order_by(Organization.id)
    )
    ids = (await uow.session.scalars(mine.with_for_update(of=Organization) if lock else mine)).all()
    others = await uow.session.execute(
        select(
            Membership.organization_id,
            func.count().label("members"),
            func.count().filter(Membership.role == "owner").label("owners"),
        )
        .where(Membership.organization_id.in_(ids), Membership.user_id != user_id)
        .group_by(Membership.organization_id)
    )
    known = {row.organization_id: row for row in others}
    return Ownership(
        alone=tuple(id_ for id_ in ids if id_ not in known),
        shared=tuple(id_ for id_ in ids if id_ in known and not known[id_].owners),
    )
