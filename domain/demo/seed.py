"""Two organizations with accounts on two networks, and their posts, scheduled as a controller would."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from domain.app import Application, open_application
from domain.gateways.vault import Tokens
from domain.models import Membership, Organization, SocialAccount, User, new_id
from pgqueue import Context

if TYPE_CHECKING:
    from uuid import UUID

    from domain.demo.processes import Remote

POSTS = 40
SPREAD = timedelta(seconds=8)
LEAD = timedelta(seconds=2.5)
TOKENS = ("demo-access-ana", "demo-access-bruno", "demo-access-clara")


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organization, its author and where it publishes."""

    organization_id: UUID
    author_id: UUID
    account_ids: tuple[UUID, ...]


async def fill(network: Remote, shaky: Remote) -> int:
    """Make both tenants and schedule all posts; return how many."""
    async with open_application() as app:
        ana, clara = await _tenants(app, network, shaky)
        start = datetime.now(UTC) + LEAD
        step = SPREAD / POSTS
        for number in range(POSTS - 1):
            tenant = (ana, clara)[number % 2]
            await _schedule(
                app,
                tenant,
                tenant.account_ids[0],
                f"{_TEXTS[number % len(_TEXTS)]} ({number + 1})",
                start + number * step,
            )
        # this one goes to the network that has a bad day
        await _schedule(app, clara, clara.account_ids[1], "Clube do livro: quinta às 19h", start)
    return POSTS


async def _schedule(app: Application, tenant: Tenant, account_id: UUID, body: str, when: datetime) -> None:
    context = Context(str(tenant.organization_id), str(tenant.author_id))
    await app.publishing.schedule_post(context, body=body, scheduled_at=when, account_ids=[account_id])


async def _tenants(app: Application, network: Remote, shaky: Remote) -> tuple[Tenant, Tenant]:
    bakery = await _tenant(app, "Padaria Aurora", ("ana@aurora.example", "bruno@aurora.example"))
    bookshop = await _tenant(app, "Livraria Horizonte", ("clara@horizonte.example",))
    return (
        await _connect(app, bakery, (network,), ("aurora",), TOKENS[:1]),
        await _connect(app, bookshop, (network, shaky), ("horizonte", "horizonte_clube"), TOKENS[1:]),
    )


async def _tenant(app: Application, name: str, emails: tuple[str, ...]) -> Tenant:
    """Make an organization: the first user owns it, the last one writes."""
    organization = Organization(id=new_id(), name=name, slug=name.lower().replace(" ", "-"), status="active")
    users = [User(id=new_id(), email=email, name=email.split("@")[0].title(), status="active") for email in emails]
    async with app.units.begin(Context(str(organization.id), str(users[0].id))) as uow:
        uow.session.add_all([organization, *users])
        await uow.session.flush()
        for user in users:
            role = "owner" if user is users[0] else "editor"
            uow.session.add(Membership(organization_id=organization.id, user_id=user.id, role=role))
    return Tenant(organization.id, users[-1].id, ())


async def _connect(
    app: Application,
    tenant: Tenant,
    networks: tuple[Remote, ...],
    names: tuple[str, ...],
    tokens: tuple[str, ...],
) -> Tenant:
    """Connect one account on each network; the tokens are sealed before they are stored."""
    ids = []
    async with app.units.begin(Context(str(tenant.organization_id), str(tenant.author_id))) as uow:
        for network, name, token in zip(networks, names, tokens, strict=True):
            external_id = network.tell("accounts", acct=name, token=token)["id"]
            account_id = new_id()
            sealed = app.vault.seal(account_id, Tokens(token))
            account = SocialAccount(
                id=account_id,
                organization_id=tenant.organization_id,
                provider="mastodon",
                base_url=network.url,
                external_id=external_id,
                handle=f"@{name}",
                connected_by=tenant.author_id,
                credentials=sealed.blob,
                credentials_kid=sealed.kid,
            )
            uow.session.add(account)
            ids.append(account_id)
    return Tenant(tenant.organization_id, tenant.author_id, tuple(ids))


_TEXTS = (
    "Pão de fermentação natural saindo do forno às 7h",
    "Novidade na vitrine: torta de maçã com canela",
    "Hoje tem café coado na hora e conversa boa",
    "Chegou a nova edição de Dom Casmurro",
    "Sábado é dia de contação de histórias para crianças",
)
