"""Three organizations, four people, and accounts on four networks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from domain.gateways.bluesky import Bluesky
from domain.gateways.vault import Tokens
from domain.models import Membership, Organization, Plan, SocialAccount, User, new_id
from pgqueue import Context

if TYPE_CHECKING:
    from uuid import UUID

    from domain.composition import Application
    from domain.demo.facts import Outside
    from domain.demo.processes import Remote
    from domain.gateways.bluesky import SignedIn

ANA, BRUNO = "ana@aurora.example", "bruno@aurora.example"
CLARA, DIEGO = "clara@horizonte.example", "diego@cafe.example"
CUSTOMER = "cus_horizonte"
SECRETS = (
    "demo-mastodon-aurora",
    "demo-mastodon-eventos",
    "demo-mastodon-bruno",
    "demo-mastodon-cafe",
    "demo-mastodon-horizonte",
    "demo-bluesky-password",
    "demo-instagram-aurora",
    "demo-linkedin-aurora",
)
"""What opens the accounts; found nowhere in the database, only sealed."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organization, the people in it, and where it publishes."""

    organization_id: UUID
    people: dict[str, UUID]
    accounts: dict[str, UUID]
    """By handle."""

    def context(self, email: str) -> Context:
        """Speak for one of its people."""
        return Context(str(self.organization_id), str(self.people[email]))


@dataclass(frozen=True, slots=True)
class Tenants:
    """Who is there."""

    bakery: Tenant
    bookshop: Tenant
    cafe: Tenant


async def fill(app: Application, outside: Outside[Remote]) -> Tenants:
    """Make the organizations and connect their accounts."""
    bakery = await _organization(app, "Padaria Aurora", (ANA, BRUNO), plan=Plan.PRO)
    bookshop = await _organization(app, "Livraria Horizonte", (CLARA,), customer=CUSTOMER)
    cafe = await _organization(app, "Café Central", (DIEGO,))
    mastodon, second = outside.mastodon, outside.second
    for network, handle, secret, tenant, owner in (
        (mastodon, "aurora", SECRETS[0], bakery, ANA),
        (mastodon, "aurora_eventos", SECRETS[1], bakery, ANA),
        (mastodon, "bruno", SECRETS[2], bakery, BRUNO),
        (second, "cafe_central", SECRETS[3], cafe, DIEGO),
        (second, "horizonte", SECRETS[4], bookshop, CLARA),
    ):
        external_id = network.tell("accounts", acct=handle, token=secret)["id"]
        await _connect(app, tenant, owner, _Account("mastodon", network.url, handle, external_id, Tokens(secret)))
    signed_in = await _sign_in(app, outside.bluesky)
    renewal = signed_in.renewal
    account = _Account("bluesky", outside.bluesky.url, "aurora.bsky", signed_in.did, renewal.tokens, renewal.expires_at)
    await _connect(app, bakery, ANA, account)
    later = datetime.now(UTC) + timedelta(days=60)
    for provider, network, secret in (
        ("instagram", outside.instagram, SECRETS[6]),
        ("linkedin", outside.linkedin, SECRETS[7]),
    ):
        external_id = network.tell("accounts", acct="aurora", token=secret)["id"]
        account = _Account(provider, network.url, f"aurora.{provider}", external_id, Tokens(secret), later)
        await _connect(app, bakery, ANA, account)
    return Tenants(bakery, bookshop, cafe)


@dataclass(frozen=True, slots=True)
class _Account:
    provider: str
    url: str
    handle: str
    external_id: str
    tokens: Tokens
    expires_at: datetime | None = None


async def _sign_in(app: Application, network: Remote) -> SignedIn:
    network.tell("accounts", acct="aurora", password=SECRETS[5])
    bluesky = app.publishing.networks.of("bluesky")
    if not isinstance(bluesky, Bluesky):
        raise TypeError(bluesky)
    return await bluesky.sign_in(network.url, "aurora", SECRETS[5])


async def _organization(
    app: Application, name: str, emails: tuple[str, ...], *, plan: Plan = Plan.FREE, customer: str | None = None
) -> Tenant:
    """Make an organization: the first one owns it, the others write."""
    organization = Organization(
        id=new_id(),
        name=name,
        slug=name.lower().replace(" ", "-"),
        status="active",
        plan=plan.value,
        stripe_customer_id=customer,
        timezone="America/Sao_Paulo",
    )
    users = [User(id=new_id(), email=email, name=email.split("@")[0].title(), status="active") for email in emails]
    async with app.units.begin(Context(str(organization.id), str(users[0].id))) as uow:
        uow.session.add_all([organization, *users])
        await uow.session.flush()
        for user in users:
            role = "owner" if user is users[0] else "editor"
            uow.session.add(Membership(organization_id=organization.id, user_id=user.id, role=role))
    return Tenant(organization.id, {user.email: user.id for user in users}, {})


async def _connect(app: Application, tenant: Tenant, owner: str, account: _Account) -> None:
    """Connect an account; its tokens are sealed before they are stored."""
    account_id = new_id()
    sealed = app.vault.seal(account_id, account.tokens)
    async with app.units.begin(tenant.context(owner)) as uow:
        uow.session.add(
            SocialAccount(
                id=account_id,
                organization_id=tenant.organization_id,
                provider=account.provider,
                base_url=account.url,
                external_id=account.external_id,
                handle=f"@{account.handle}",
                connected_by=tenant.people[owner],
                credentials=sealed.blob,
                credentials_kid=sealed.kid,
                access_expires_at=account.expires_at,
            )
        )
    tenant.accounts[account.handle] = account_id
