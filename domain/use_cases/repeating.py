"""Once: a write that is sent again with the same key is done once, and answered as the first time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from domain.gateways.vault import Tokens
from domain.models import IdempotencyKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sqlalchemy import ColumnElement

    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Context

KEPT = timedelta(hours=24)


class KeyInUse(Exception):
    """The first request with this key is at work, or was cut off where nobody can tell how far it came."""

    def __init__(self) -> None:
        super().__init__(
            "the first request with this key is not answered: it is at work, or was cut off; "
            "look whether it was done before you send it with another key"
        )


class KeyReused(Exception):
    """The key belongs to another request."""

    def __init__(self) -> None:
        super().__init__("this key was sent with another request; take a new key for each new request")


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request with a key. ``content`` is all of it that has to be the same in a repeat."""

    key: str
    operation: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Once:
    """Do what a request asks for, unless it was done. Keys belong to a user in an organization."""

    units: UnitsOfWork
    vault: Vault

    async def __call__(self, context: Context, request: Repeatable, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do the work, and keep its answer, in one transaction: both are there, or neither.

        An error of the work leaves nothing behind, the key neither: the repeat is a first request again.

        Raises:
            KeyInUse: the first one is at work at this moment.
            KeyReused: the key belongs to another request.

        """
        async with self.units.as_one(context) as uow:
            known = await self._answer(uow, request)
            if known is not None:
                return known
            answer = await work()
            await self._keep(uow, request, answer)
        return answer

    async def outside(
        self,
        context: Context,
        request: Repeatable,
        work: Callable[[], Awaitable[Answer]],
        *,
        refusals: tuple[type[Exception], ...],
    ) -> Answer:
        """Do work that calls the outside world, where no transaction can stay open.

        The key is taken first and answered last. A crash in between leaves it taken: a repeat is refused with
        `KeyInUse` until the key ends, never done twice. ``refusals`` are errors that say that nothing was done: they
        give the key back.
        """
        async with self.units.begin(context) as uow:
            known = await self._answer(uow, request)
            if known is not None:
                return known
            await self._keep(uow, request, None)
        try:
            answer = await work()
        except refusals:
            async with self.units.begin(context) as uow:
                await uow.session.execute(delete(IdempotencyKey).where(*_is(uow, request)))
            raise
        async with self.units.begin(context) as uow:
            await self._keep(uow, request, answer)
        return answer

    async def _answer(self, uow: UnitOfWork, request: Repeatable) -> Answer | None:
        """Return the first request's answer; None: this is the first. Its like has to wait until we commit."""
        name = f"idempotency:{uow.organization_id}:{uow.user_id}:{request.key}"
        if not await uow.session.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended(name, 0)))):
            raise KeyInUse
        row = await uow.session.scalar(
            select(IdempotencyKey).where(*_is(uow, request), IdempotencyKey.expires_at > func.clock_timestamp())
        )
        if row is None:
            return None
        if (row.operation, row.request_hash) != (request.operation, self.vault.mark(request.content)):
            raise KeyReused
        if row.response_status is None:
            raise KeyInUse
        body = self.vault.open(uow.user_id, (row.response_body or b"").decode()).access.encode()
        return Answer(row.response_status, row.response_headers, body, repeated=True)

    async def _keep(self, uow: UnitOfWork, request: Repeatable, answer: Answer | None) -> None:
        """Write the key, in place of one that has ended."""
        now = func.statement_timestamp()  # the same in all columns
        values: dict[str, Any] = {
            "operation": request.operation,
            "request_hash": self.vault.mark(request.content),
            "response_status": None,
            "response_headers": {},
            "response_body": None,
            "created_at": now,
            "completed_at": None,
            "expires_at": now + KEPT,
        }
        if answer is not None:
            sealed = self.vault.seal(uow.user_id, Tokens(answer.body.decode()))
            values |= {
                "response_status": answer.status,
                "response_headers": dict(answer.headers),
                "response_body": sealed.blob.encode(),
                "completed_at": now,
            }
        statement = insert(IdempotencyKey).values(
            organization_id=uow.organization_id, user_id=uow.user_id, key=request.key, **values
        )
        await uow.session.execute(
            statement.on_conflict_do_update(index_elements=IdempotencyKey.__table__.primary_key, set_=values)
        )


def _is(uow: UnitOfWork, request: Repeatable) -> tuple[ColumnElement[bool], ...]:
    return (
        IdempotencyKey.organization_id == uow.organization_id,
        IdempotencyKey.user_id == uow.user_id,
        IdempotencyKey.key == request.key,
    )
