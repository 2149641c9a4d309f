"""Notices in the application for those who administer an organization, in the transaction of what they tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from domain.models import Membership, Notification, User, new_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork

_MOST_RECIPIENTS = 50
# kind → locale → title; the first locale is for everybody whose own is not here
TITLES: Mapping[str, Mapping[str, str]] = {
    "subscription_past_due": {
        "pt-BR": "O pagamento da assinatura falhou",
        "en": "The payment of your subscription failed",
    },
    "subscription_recovered": {"pt-BR": "A assinatura está em dia de novo", "en": "Your subscription is paid again"},
    "plan_downgraded": {"pt-BR": "Sua organização está no plano gratuito", "en": "You are on the free plan now"},
    "webhook_disabled": {"pt-BR": "Um webhook foi desativado", "en": "A webhook endpoint was disabled"},
    "report_ready": {"pt-BR": "Seu relatório está pronto", "en": "Your report is ready"},
    "report_failed": {"pt-BR": "Seu relatório não pôde ser feito", "en": "Your report could not be made"},
}


async def administrators(uow: UnitOfWork) -> Sequence[UUID]:
    """Find who administers this organization."""
    found = await uow.session.scalars(
        select(Membership.user_id)
        .where(Membership.organization_id == uow.organization_id, Membership.role.in_(("owner", "admin")))
        .order_by(Membership.user_id)
        .limit(_MOST_RECIPIENTS)
    )
    return found.all()


async def give_notice(
    uow: UnitOfWork, recipients: Sequence[UUID], kind: str, *, key: str, body: str = "", link: str | None = None
) -> None:
    """Store one notice for each of them; the same key again changes nothing."""
    people = await uow.session.execute(
        select(User.id, User.locale).where(User.id.in_(recipients), User.status == "active").order_by(User.id)
    )
    for user_id, locale in people.all():
        titles = TITLES[kind]
        values = {
            "id": new_id(),
            "organization_id": uow.organization_id,
            "user_id": user_id,
            "kind": kind,
            "dedupe_key": key,
            "title": titles.get(locale) or next(iter(titles.values())),
            "body": body,
            "link": link,
        }
        await uow.session.execute(insert(Notification).values(values).on_conflict_do_nothing())
