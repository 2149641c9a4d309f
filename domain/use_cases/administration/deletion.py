"""ProcessAccountDeletion: forget somebody, step by step.

Each step is one transaction that also writes down that it is done, so a crash goes on where it stopped. What is asked
of other systems (networks, the mail server) is asked before the step that closes it, and asking twice does no harm. The
posts of organizations that closed are canceled in slices before the next step, for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from domain.gateways.failures import Postponed, Rejected, Transient
from domain.gateways.revocation import Grant, Revocation
from domain.gateways.vault import SealBroken
from domain.jobs import ProcessAccountDeletionJob
from domain.models import (
    AccountDeletion,
    AccountStatus,
    DeletionStatus,
    EmailStatus,
    SocialAccount,
    User,
)
from domain.system import SYSTEM_ORGANIZATION
from domain.use_cases.accounts.apps import known_client
from domain.use_cases.administration.erasure import STEPS, StillNeeded, cancel_some, end_grant_of, grants_of
from domain.use_cases.administration.ownership import sole_ownership
from domain.use_cases.administration.users import locked_user
from domain.use_cases.clock import database_now
from domain.use_cases.mailing import Letter, Mailing
from domain.use_cases.templates import render
from pgqueue import Context, Dead, Outcome, Snooze

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Death, JobContext

STOPPED = "stopped"
_OPEN = (DeletionStatus.PENDING, DeletionStatus.RUNNING)
_BATCH = 500
_TRIES = 3
_ENOUGH_SECONDS = 65.0  # for one more account, asked three times


class StepFailed(Exception):
    """A step was rolled back; says which one and what kind of error it was, and nothing of the row."""


@dataclass(frozen=True, slots=True)
class ProcessAccountDeletion:
    """Delete one account that is due; safe to call again at any moment."""

    units: UnitsOfWork
    vault: Vault
    revocation: Revocation
    mailing: Mailing

    async def __call__(self, ctx: JobContext, deletion_id: UUID) -> Outcome | None:
        """Do the steps that are not done; nothing if it is canceled, done, or not due yet."""
        async with self.units.begin(ctx.context) as uow:
            deletion = await uow.session.get(AccountDeletion, deletion_id)
            if deletion is None or deletion.status not in _OPEN or deletion.due_at > await database_now(uow):
                return None
            todo = [name for name in STEPS if name not in deletion.steps_done]
        for name in todo:
            try:
                outcome = await self._before(ctx, name, deletion_id)
                if outcome is not None:
                    return outcome
                if not await self._step(ctx, name, deletion_id):
                    return None
            except StillNeeded as error:
                return Dead(f"somebody else has to own these organizations first: {error}")
            except DBAPIError as error:
                # the database's own words may show the row, and errors of jobs are kept
                raise StepFailed(f"step {name}: {type(error.orig).__name__}") from None
        return None

    async def _before(self, ctx: JobContext, name: str, deletion_id: UUID) -> Outcome | None:
        """Do what has to come before this step: outside the database, or in more than one transaction."""
        match name:
            case "revoke":
                return await self._give_back(ctx, deletion_id)
            case "farewell":
                return await self._cancel_posts(ctx, deletion_id) or await self._say_farewell(ctx, deletion_id)
            case _:
                return None

    async def _step(self, ctx: JobContext, name: str, deletion_id: UUID) -> bool:
        """Do one step; the last one completes the job in the same commit. False: it was canceled meanwhile."""
        if name != list(STEPS)[-1]:
            async with self.units.begin(ctx.context) as uow:
                return await _do(uow, name, deletion_id)
        async with ctx.transaction() as session:
            return await _do(self.units.join(session, ctx.context), name, deletion_id)

    async def _give_back(self, ctx: JobContext, deletion_id: UUID) -> Outcome | None:
        """Give every grant back, as well as that goes; what was given back is wiped at once."""
        async with self.units.begin(ctx.context) as uow:
            deletion = await uow.session.get_one(AccountDeletion, deletion_id)
            closing = (await sole_ownership(uow, deletion.user_id)).alone
            found = await uow.session.scalars(
                select(SocialAccount).where(
                    grants_of(deletion.user_id, closing), SocialAccount.status != AccountStatus.REVOKED
                )
            )
            accounts = found.all()
        for account in accounts:
            if ctx.seconds_left < _ENOUGH_SECONDS:
                return Snooze("1s", "more accounts to give back")
            await self._revoke(ctx.context, account)
            async with self.units.begin(ctx.context) as uow:
                row = await uow.session.get_one(SocialAccount, account.id, with_for_update=True)
                if row.status != AccountStatus.REVOKED:
                    await end_grant_of(uow, row)
        return None

    async def _revoke(self, context: Context, account: SocialAccount) -> None:
        """Ask the network at most three times: a network that is down keeps nobody from being forgotten."""
        try:
            tokens = self.vault.open(account.id, account.credentials)
            async with self.units.begin(context) as uow:
                client = await known_client(uow, self.vault, account.provider, account.base_url)
        except SealBroken:
            return
        for _ in range(_TRIES):
            try:
                await self.revocation.revoke(Grant(account.provider, account.base_url, tokens, client))
            except Transient:
                continue
            except (Rejected, Postponed):
                pass
            return

    async def _cancel_posts(self, ctx: JobContext, deletion_id: UUID) -> Outcome | None:
        """Cancel what closed with the user, a slice in each transaction."""
        while True:
            async with self.units.begin(ctx.context) as uow:
                if not await cancel_some(uow, deletion_id):
                    return None
            if ctx.seconds_left < _ENOUGH_SECONDS:
                return Snooze("1s", "more posts to cancel")

    async def _say_farewell(self, ctx: JobContext, deletion_id: UUID) -> Outcome | None:
        """Send the last mail while there is an address. The last attempt goes on without it."""
        async with self.units.begin(ctx.context) as uow:
            deletion = await uow.session.get_one(AccountDeletion, deletion_id)
            user = await uow.session.get_one(User, deletion.user_id)
            words = render(user.locale, "account_deleted", name=user.name)
            letter = Letter(f"mail:deletion:{deletion_id}", "account_deleted", user.id, user.email, *words)
            message = await self.mailing.begin(uow, letter)
        if message is None:
            return None
        status, code = EmailStatus.SENT, 250
        try:
            reply = await self.mailing.mailer.send(message)
        except Postponed as error:
            return Snooze(error.wait, f"{error.code}: {error}")
        except Rejected as error:
            status, code, reply = EmailStatus.BOUNCED, error.status or 0, str(error)
        except Transient as error:
            if ctx.attempt < ctx.max_attempts:
                raise
            status, code, reply = EmailStatus.PENDING, error.status or 0, str(error)
        async with self.units.begin(ctx.context) as uow:
            await self.mailing.settle(uow, letter.key, status, code, reply)
        return None


@dataclass(frozen=True, slots=True)
class FindDueDeletions:
    """Find deletions whose time has come and that have no job."""

    units: UnitsOfWork

    async def __call__(self, ctx: JobContext) -> None:
        """Dispatch those that are due; one that has its job already keeps that. A stopped one waits for a human."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            due = await session.execute(
                select(AccountDeletion.id, AccountDeletion.user_id)
                .where(
                    AccountDeletion.status.in_(_OPEN),
                    AccountDeletion.due_at <= await database_now(uow),
                    AccountDeletion.evidence[STOPPED].is_(None),
                )
                .order_by(AccountDeletion.due_at)
                .limit(_BATCH)
            )
            for deletion_id, user_id in due.all():
                context = Context(str(SYSTEM_ORGANIZATION), str(user_id), ctx.correlation_id)
                await uow.dispatch(ProcessAccountDeletionJob(deletion_id=deletion_id), context=context)


@dataclass(frozen=True, slots=True)
class BuryAccountDeletion:
    """The job died: the deletion stays open and waits for a human, who requeues the job."""

    units: UnitsOfWork

    async def __call__(self, session: AsyncSession, death: Death, deletion_id: UUID | None) -> None:
        """Say so in the row, without the words of the error, which might hold what is to be forgotten."""
        if deletion_id is None:
            return
        deletion = await session.get(AccountDeletion, deletion_id, with_for_update=True)
        if deletion is not None and deletion.status in _OPEN:
            deletion.evidence = (deletion.evidence or {}) | {STOPPED: death.reason}


async def _do(uow: UnitOfWork, name: str, deletion_id: UUID) -> bool:
    known = await uow.session.get_one(AccountDeletion, deletion_id)
    user = await locked_user(uow, known.user_id)
    deletion = await uow.session.get_one(AccountDeletion, deletion_id, with_for_update=True, populate_existing=True)
    if deletion.status not in _OPEN:
        return False
    if name in deletion.steps_done:
        return True  # another run was faster
    facts = await STEPS[name](uow, deletion, user)
    deletion.steps_done = [*deletion.steps_done, name]
    deletion.evidence = {key: fact for key, fact in (deletion.evidence or {}).items() if key != STOPPED} | facts
    return True
