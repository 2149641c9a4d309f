"""The API as a client sees it, in this process: real routes, real database, no server in between."""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from domain.http.application import create_app
from domain.models import Membership, User, new_id
from domain.use_cases.identity.passwords import Passwords
from tests.domain.signing_up import PASSWORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from fastapi import FastAPI

    from tests.domain.world import Tenant, World

PROBLEM = "application/problem+json"


@dataclass
class Api:
    """Sends requests, as one of the world's people or as nobody."""

    world: World
    app: FastAPI
    client: httpx.AsyncClient
    tokens: dict[UUID, str] = field(default_factory=dict)

    async def token(self, user_id: UUID) -> str:
        """The session of a user, who signs in at the first time."""
        if user_id not in self.tokens:
            hashed = await Passwords(4).hash(PASSWORD)
            await self.world.execute("UPDATE smm.users SET password_hash = :h WHERE id = :id", h=hashed, id=user_id)
            [row] = await self.world.rows("SELECT email FROM smm.users WHERE id = :id", id=user_id)
            answer = await self.client.post("/sessions", json={"email": row.email, "password": PASSWORD})
            assert answer.status_code == 201, answer.text
            self.tokens[user_id] = answer.json()["token"]
        return self.tokens[user_id]

    async def ask(
        self, method: str, path: str, *, by: UUID | None = None, key: str | None = None, **content: Any
    ) -> httpx.Response:
        """Send one request, with a user's session if ``by`` says whose."""
        headers = dict(content.pop("headers", {}))
        if by is not None:
            headers["Authorization"] = f"Bearer {await self.token(by)}"
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self.client.request(method, path, headers=headers, **content)

    async def get(self, path: str, *, by: UUID | None = None) -> Any:
        """Read what has to be there."""
        answer = await self.ask("GET", path, by=by)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def member(self, tenant: Tenant, role: str) -> UUID:
        """One more member of a tenant."""
        user = User(id=new_id(), email=f"{role}-{new_id().hex}@people.example", status="active")
        async with self.world.app.units.sessions.begin() as session:
            session.add(user)
            await session.flush()
            session.add(Membership(organization_id=tenant.organization_id, user_id=user.id, role=role))
        return user.id

    def a_post(self, body: str = "olá", *, now: bool = False, **changed: Any) -> dict[str, Any]:
        """What a client sends to schedule a post, far in the future or now."""
        at = datetime.now(UTC).isoformat() if now else "2099-01-01T00:00:00Z"
        account_ids = [str(self.world.tenant.account_id)]
        return {"body": body, "scheduled_at": at, "account_ids": account_ids} | changed

    def of(self, tenant: Tenant) -> str:
        """Where an organization's things are."""
        return f"/organizations/{tenant.organization_id}"


@asynccontextmanager
async def open_api(world: World) -> AsyncIterator[Api]:
    app = create_app(lambda: nullcontext(world.app))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        yield Api(world, app, client)


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """A problem of this kind, well formed."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == PROBLEM
    content: dict[str, Any] = answer.json()
    assert content["type"] == f"urn:smm:problem:{code}", content
    assert content["status"] == status
    assert content["title"]
    assert content["detail"]
    assert content["request_id"] == answer.headers["X-Request-Id"]
    return content
