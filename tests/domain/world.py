"""What the tests of the domain act on: everything real, on loopback."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import Row, select, text

from domain.composition import Application, compose
from domain.gateways.breakers import Breakers
from domain.gateways.guard import Guard, GuardedTransport, trust
from domain.gateways.vault import Tokens
from domain.jobs import JOBS
from domain.models import Membership, Organization, PublishAttempt, ScheduledPost, SocialAccount, User, new_id
from domain.settings import CONFIGURATION, DomainSettings
from pgqueue import App, AsyncQueue, Context, Job, Settings
from pgqueue.telemetry import Telemetry
from pgqueue.wake import ready_channel
from pgqueue.worker import limits
from pgqueue.worker.process import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncEngine

    from domain.standins import ClamdStandIn, MailStandIn, MastodonStandIn, ReceiverStandIn, StripeStandIn
    from pgqueue.telemetry import Subscriber

TOKEN = "a-token-nobody-may-see"
_CAN_RUN = """SELECT count(*) AS n FROM pgqueue.all_jobs
    WHERE state IN ('enqueued', 'ready', 'running') OR starts_with(reason, 'unique:')
    OR (state = 'waiting' AND run_at <= pgqueue.clock())"""


@dataclass
class Tenant:
    """An organization with an owner, an author and an account."""

    organization_id: UUID
    owner_id: UUID
    author_id: UUID
    account_id: UUID

    @property
    def context(self) -> Context:
        return Context(str(self.organization_id), str(self.author_id))


@dataclass(frozen=True)
class Outside:
    """The stand-ins."""

    network: MastodonStandIn
    mail: MailStandIn
    clamd: ClamdStandIn
    stripe: StripeStandIn
    receiver: ReceiverStandIn


@dataclass
class World:
    """Everything a test needs at hand."""

    app: Application
    queue_app: App
    queue: AsyncQueue
    engine: AsyncEngine
    url: str
    network: MastodonStandIn
    mail: MailStandIn
    clamd: ClamdStandIn
    stripe: StripeStandIn
    receiver: ReceiverStandIn
    tenant: Tenant
    stranger: Tenant
    asked: list[str]
    """Every HTTP call that the gateways made with the client they share, stand-ins or not."""
    worker: asyncio.Task[int] | None = None
    subscribers: list[Subscriber] = field(default_factory=list)
    """Who hears what the worker does; nobody by default."""

    async def schedule(self, body: str = "olá", *, when: datetime | None = None, tenant: Tenant | None = None) -> UUID:
        tenant = tenant or self.tenant
        ids = await self.app.publishing.schedule_post(
            tenant.context, body=body, scheduled_at=when or datetime.now(UTC), account_ids=[tenant.account_id]
        )
        return ids[0]

    async def work(self) -> None:
        """Let a worker run until nothing is left that can run now; it is kept, and works at no other time."""
        await self.execute("UPDATE pgqueue.queues SET paused_at = NULL")
        if self.worker is None:
            worker = Worker(self.queue_app, self.url, limits(self.queue_app, None), Telemetry(self.subscribers))
            self.worker = asyncio.create_task(_until_cancelled(worker))
        ready = ready_channel(self.queue.settings.schema_name)
        await self.execute("SELECT pg_notify(:ready, name) FROM pgqueue.queues", ready=ready)
        async with asyncio.timeout(20):
            while (await self.rows(_CAN_RUN))[0].n:
                assert not self.worker.done()
                await self.execute("SELECT pg_sleep(0.01)")
        await self.execute("UPDATE pgqueue.queues SET paused_at = pgqueue.clock()")

    async def stop(self) -> None:
        """End the worker, and let others have its queues."""
        if self.worker is not None:
            self.worker.cancel()
            await asyncio.wait([self.worker])
            self.worker = None
        await self.execute("UPDATE pgqueue.queues SET paused_at = NULL")

    async def restart(self, handle: Application) -> None:
        """Let the next worker have other use cases."""
        await self.stop()
        self.queue_app = App(queue=self.queue, jobs=JOBS, handle=handle, settings=self.queue_app.settings)

    async def make_due(self) -> None:
        """Let the time come that jobs wait for."""
        await self.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock() WHERE run_at IS NOT NULL")
        await self.execute("UPDATE smm.provider_throttles SET blocked_until = pgqueue.clock()")

    async def execute(self, statement: str, **params: object) -> None:
        async with self.engine.begin() as conn:
            await conn.execute(text(statement), params)

    async def rows(self, statement: str, **params: object) -> Sequence[Row[Any]]:
        async with self.engine.begin() as conn:
            return (await conn.execute(text(statement), params)).all()

    async def post(self, scheduled_post_id: UUID) -> ScheduledPost:
        async with self.app.units.sessions() as session:
            return await session.get_one(ScheduledPost, scheduled_post_id)

    async def account(self) -> SocialAccount:
        async with self.app.units.sessions() as session:
            return await session.get_one(SocialAccount, self.tenant.account_id)

    async def attempts(self, scheduled_post_id: UUID) -> list[tuple[str, str | None]]:
        """The phases and outcomes of all calls that were begun."""
        async with self.app.units.sessions() as session:
            found = await session.scalars(
                select(PublishAttempt)
                .where(PublishAttempt.scheduled_post_id == scheduled_post_id)
                .order_by(PublishAttempt.attempt)
            )
            return [(attempt.phase, attempt.outcome) for attempt in found]

    async def jobs(self, kind: str = "ProcessScheduledPostJob") -> list[tuple[str, int]]:
        """State and spent attempts of the jobs of a kind."""
        found = await self.rows("SELECT state, attempt FROM pgqueue.all_jobs WHERE kind = :kind ORDER BY id", kind=kind)
        return [(row.state, row.attempt) for row in found]

    async def run(self, job: Job, context: Context | None = None) -> None:
        """Enqueue a job of the tenant's and let a worker run until nothing is left to do."""
        async with self.app.units.begin(context or self.tenant.context) as uow:
            await uow.dispatch(job)
        await self.work()

    async def requeue(self, kind: str) -> None:
        """Bring the dead jobs of a kind back, and run them."""
        dead = await self.rows("SELECT id FROM pgqueue.dead_jobs WHERE kind = :kind", kind=kind)
        async with self.app.units.sessions.begin() as session:
            await self.queue.requeue(session, [row.id for row in dead], by="a test")
        await self.work()

    async def exhaust(self) -> None:
        """Let all attempts pass that jobs have."""
        for _ in range(5):
            await self.work()
            await self.make_due()
        await self.work()

    def texts(self) -> list[str]:
        """What the network has."""
        return [status["text"] for status in self.network.state()["statuses"]]


@asynccontextmanager
async def open_world(
    url: str, engine: AsyncEngine, outside: Outside, directory: Path, **more: Any
) -> AsyncIterator[World]:
    settings = Settings(file=CONFIGURATION, database_url=url, poll="100ms", environment={})
    queue = AsyncQueue(settings, wake="off")
    configuration = _configuration(outside, directory, more)
    breakers = Breakers(settings, fail_max=6)  # as many as two notices have attempts: both can die
    try:
        asked: list[str] = []

        async def note(request: httpx.Request) -> None:
            asked.append(f"{request.method} {request.url}")

        hooks = {"request": [note]}
        guarded = GuardedTransport(Guard(configuration.webhook_exceptions))
        async with (
            httpx.AsyncClient(trust_env=False, event_hooks=hooks, verify=trust()) as http,
            httpx.AsyncClient(transport=guarded, event_hooks=hooks) as guarded_http,
        ):
            app = compose(engine, http, configuration, queue, breakers, outside=guarded_http)
            queue_app = App(queue=queue, jobs=JOBS, handle=app, settings=settings)
            tenant = await _tenant(app, outside.network, "aurora")
            stranger = await _tenant(app, outside.network, "horizonte")
            world = World(
                app,
                queue_app,
                queue,
                engine,
                url,
                outside.network,
                outside.mail,
                outside.clamd,
                outside.stripe,
                outside.receiver,
                tenant,
                stranger,
                asked,
            )
            yield world
            await world.stop()
    finally:
        breakers.close()


def _configuration(outside: Outside, directory: Path, more: dict[str, Any]) -> DomainSettings:
    return DomainSettings(
        fernet_keys=SecretStr(Fernet.generate_key().decode()),
        fingerprint_key=SecretStr("a key for the tests"),
        password_cost=4,
        smtp_port=outside.mail.port,
        smtp_start_tls=False,
        network_deadline_seconds=1,
        mail_deadline_seconds=1,
        storage_directory=directory,
        clamd_address=outside.clamd.url,
        stripe_url=outside.stripe.url,
        stripe_api_key=SecretStr(outside.stripe.api_key),
        stripe_webhook_secret=SecretStr(outside.stripe.webhook_secret),
        webhook_allowed="127.0.0.1",
        webhook_deadline_seconds=1,
        scan_deadline_seconds=1,
        largest_upload_bytes=4 << 20,
        **more,
    )


async def _until_cancelled(worker: Worker) -> int:
    running = asyncio.create_task(worker.run())
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        worker.stop()
        return await running


async def _tenant(app: Application, network: MastodonStandIn, name: str) -> Tenant:
    organization = Organization(id=new_id(), name=name, slug=name, status="active")
    people = [User(id=new_id(), email=f"{who}@{name}.example", status="active") for who in ("owner", "author")]
    account_id = new_id()
    sealed = app.vault.seal(account_id, Tokens(f"{TOKEN}-{name}"))
    async with app.units.sessions.begin() as session:
        session.add_all([organization, *people])
        await session.flush()
        for user, role in zip(people, ("owner", "editor"), strict=True):
            session.add(Membership(organization_id=organization.id, user_id=user.id, role=role))
        session.add(
            SocialAccount(
                id=account_id,
                organization_id=organization.id,
                provider="mastodon",
                base_url=network.url,
                external_id=network.add_account(name, f"{TOKEN}-{name}").id,
                handle=f"@{name}",
                connected_by=people[0].id,
                credentials=sealed.blob,
                credentials_kid=sealed.kid,
            )
        )
    return Tenant(organization.id, people[0].id, people[1].id, account_id)
