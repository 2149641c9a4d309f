"""The composition root: what exists, what it is made of. Nothing is opened when this is imported."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from domain.contexts import Parts
from domain.contexts.accounts import Accounts, accounts
from domain.contexts.analytics import Analytics, analytics
from domain.contexts.billing import Billing, billing
from domain.contexts.identity import Identity, identity
from domain.contexts.integration import Integration, integration
from domain.contexts.maintenance import Maintenance, maintenance
from domain.contexts.media import MediaLibrary, media
from domain.contexts.organizations import Organizations, organizations
from domain.contexts.publishing import Publishing, publishing
from domain.contexts.reading import Reading, reading
from domain.gateways.breakers import Breakers
from domain.gateways.guard import Guard, GuardedTransport, trust
from domain.gateways.mail import Mailer, MailServer
from domain.gateways.storage import Storage, open_storage
from domain.gateways.vault import Vault
from domain.listeners import listen
from domain.settings import DomainSettings, settings
from domain.unit_of_work import UnitsOfWork
from domain.use_cases.forms import OneOrSweep
from domain.use_cases.mailing import Mailing, Sender
from domain.use_cases.notifying import BuryNotification, MailNotice, NotifyPublishResult
from domain.use_cases.repeating import Once
from pgqueue import AsyncQueue
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncEngine

    from domain.jobs import PublishResult

_USER_AGENT = "social-media-manager/1"


@dataclass(frozen=True, slots=True)
class Application:
    """Every use case, ready to be called: jobs get this as their handle, and controllers from the request."""

    units: UnitsOfWork
    vault: Vault
    storage: Storage
    publishing: Publishing
    billing: Billing
    integration: Integration
    identity: Identity
    organizations: Organizations
    accounts: Accounts
    media: MediaLibrary
    analytics: Analytics
    maintenance: Maintenance
    reading: Reading
    once: Once
    notify_publish_result: OneOrSweep[UUID, UUID, PublishResult, int]
    bury_notification: BuryNotification


def compose(
    engine: AsyncEngine,
    http: httpx.AsyncClient,
    configuration: DomainSettings,
    queue: AsyncQueue,
    breakers: Breakers,
    *,
    outside: httpx.AsyncClient,
) -> Application:
    """Put the application together from what is open; ``outside`` is for servers that users named."""
    units = UnitsOfWork(async_sessionmaker(engine, expire_on_commit=False), queue, listen)
    vault = Vault(configuration.keys, fingerprint_key=configuration.fingerprint_key.get_secret_value())
    parts = Parts(units, vault, http, outside, breakers, configuration, open_storage(configuration, breakers))
    secret = configuration.smtp_password
    server = MailServer(
        configuration.smtp_host,
        configuration.smtp_port,
        configuration.smtp_start_tls,
        configuration.smtp_username,
        secret.get_secret_value() if secret else None,
    )
    mailer = Mailer(server, breakers, deadline=configuration.mail_deadline)
    mailing = Mailing(units, mailer, vault, Sender(configuration.mail_from, configuration.mail_domain))
    return Application(
        units=units,
        vault=vault,
        storage=parts.storage,
        publishing=publishing(parts),
        billing=billing(parts),
        integration=integration(parts),
        identity=identity(parts, mailing),
        organizations=organizations(parts),
        accounts=accounts(parts),
        media=media(parts),
        analytics=analytics(parts),
        maintenance=maintenance(parts),
        reading=reading(parts),
        once=Once(units, vault),
        notify_publish_result=OneOrSweep(NotifyPublishResult(units, mailing), MailNotice(units, mailing)),
        bury_notification=BuryNotification(mailing),
    )


@asynccontextmanager
async def open_application(queue: AsyncQueue | None = None) -> AsyncIterator[Application]:
    """Open what the use cases need, and close it at the end."""
    queue = queue or AsyncQueue(settings())
    url = queue.settings.database_url
    if not url:
        raise ConfigurationError("no database: set PGQUEUE_DATABASE_URL=postgresql://user@host/database")
    configuration = DomainSettings.from_environment()
    # it writes the addresses of all calls, and one network wants a token in them
    logging.getLogger("httpx").setLevel(logging.WARNING)
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+psycopg"), isolation_level="READ COMMITTED", pool_size=10
    )
    breakers = Breakers(queue.settings)
    try:
        async with _client() as http, _client(Guard(configuration.webhook_exceptions)) as outside:
            yield compose(engine, http, configuration, queue, breakers, outside=outside)
    finally:
        breakers.close()
        await engine.dispose()


def _client(guard: Guard | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        trust_env=False,  # a proxy variable must not decide where tokens are sent
        timeout=httpx.Timeout(30, connect=5),
        headers={"User-Agent": _USER_AGENT},
        verify=trust(),
        transport=None if guard is None else GuardedTransport(guard),
    )
