"""Credentials that end: one renewal at a time for each account, written down at once. RenewTokens and its sweep."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Select, and_, func, or_, select, update

from domain.events import PostsPaused, SocialAccountNeedsReauth, TokensRefreshed
from domain.gateways.failures import AuthExpired, GatewayError, Postponed, RateLimited
from domain.gateways.networks import Grant
from domain.jobs import RefreshExpiringTokensJob
from domain.models import AccountStatus, PostStatus, ScheduledPost, SocialAccount, transition
from domain.use_cases.integration.outgoing import tell_endpoints
from domain.use_cases.notices import administrators, give_notice
from domain.use_cases.publications import database_now
from domain.use_cases.throttling import remember, wait_left
from pgqueue import Context, Discard, Outcome, Snooze
from pgqueue.errors import LockTaken

if TYPE_CHECKING:
    from uuid import UUID

    from domain.gateways.networks import Networks, Renewal
    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import JobContext

SLICE = 500
INTERVAL = timedelta(minutes=5)
BUSY = timedelta(seconds=2)
LOCK_TTL = timedelta(seconds=90)
REAUTH = "reauth"


@dataclass(frozen=True, slots=True)
class RenewTokens:
    """Exchange an account's tokens unless somebody has done so since they were read."""

    units: UnitsOfWork
    networks: Networks
    vault: Vault

    async def __call__(self, context: Context, account_id: UUID, *, seen_version: int | None) -> None:
        """Renew, once for all who saw the same version (None: whichever there is).

        Raises LockTaken while somebody else does it, `AuthExpired` when the grant is dead (the account then says so),
        and what else the call can end with.
        """
        async with self.units.queue.lock(f"token:{account_id}", ttl=LOCK_TTL):
            async with self.units.begin(context) as uow:
                account = await _of_organization(uow, account_id)
                if account is None or account.status != AccountStatus.ACTIVE:
                    return
                if seen_version is not None and account.token_version != seen_version:
                    return
                wait = await wait_left(uow, account, await database_now(uow))
            if wait is not None:
                raise RateLimited("the account is to be left alone", code="throttled", wait=wait)
            try:
                renewal = await self._ask(account)
            except GatewayError as error:
                await self._note_failure(context, account, error)
                raise
            await self._store(context, account, renewal)

    async def _ask(self, account: SocialAccount) -> Renewal:
        tokens = self.vault.open(account.id, account.credentials)
        grant = Grant(account.base_url, account.external_id, tokens.access)
        return await self.networks.of(account.provider).renew(grant, tokens)

    async def _store(self, context: Context, account: SocialAccount, renewal: Renewal) -> None:
        """Compare and set: of two that renewed at once the second one changes nothing."""
        sealed = self.vault.seal(account.id, renewal.tokens)
        async with self.units.begin(context) as uow:
            stored = await uow.session.scalar(
                update(SocialAccount)
                .where(
                    SocialAccount.organization_id == account.organization_id,
                    SocialAccount.id == account.id,
                    SocialAccount.token_version == account.token_version,
                )
                .values(
                    credentials=sealed.blob,
                    credentials_kid=sealed.kid,
                    token_version=account.token_version + 1,
                    access_expires_at=renewal.expires_at,
                    refresh_failures=0,
                    last_refreshed_at=func.clock_timestamp(),
                )
                .returning(SocialAccount.token_version)
            )
            if stored is not None:
                await uow.publish(TokensRefreshed(social_account_id=account.id, token_version=stored))

    async def _note_failure(self, context: Context, seen: SocialAccount, error: GatewayError) -> None:
        async with self.units.begin(context) as uow:
            account = await uow.session.get_one(SocialAccount, seen.id, with_for_update=True)
            if account.token_version != seen.token_version:
                return
            if isinstance(error, AuthExpired):
                await end_grant(uow, account, error.code)
                return
            account.refresh_failures += 1
            if isinstance(error, RateLimited):
                await remember(uow, account, error.wait)


@dataclass(frozen=True, slots=True)
class RefreshExpiringTokens:
    """Renew the tokens of one account before they end."""

    renew_tokens: RenewTokens

    async def __call__(self, ctx: JobContext, social_account_id: UUID, token_version: int | None) -> Outcome | None:
        """Renew them, unless that was done since ``token_version``."""
        try:
            await self.renew_tokens(ctx.context, social_account_id, seen_version=token_version)
        except LockTaken:
            return Snooze(BUSY, "somebody else is renewing these tokens")
        except AuthExpired as error:
            return Discard(f"{error.code}: the account has to be connected again")
        except Postponed as error:
            return Snooze(error.wait, f"{error.code}: {error}")
        return None


@dataclass(frozen=True, slots=True)
class SweepExpiringTokens:
    """Find the accounts whose tokens end soon."""

    units: UnitsOfWork
    networks: Networks

    async def __call__(self, ctx: JobContext) -> None:
        """Dispatch a slice of accounts, those that end first in front, spread over the interval to the next tick."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            found = (await uow.session.scalars(self._due().limit(SLICE))).all()
            now = await database_now(uow)
            for number, account in enumerate(found):
                job = RefreshExpiringTokensJob(social_account_id=account.id, version=account.token_version)
                context = Context(str(account.organization_id), str(account.connected_by))
                await uow.dispatch(job, run_at=now + INTERVAL * number / SLICE, context=context)

    def _due(self) -> Select[SocialAccount]:
        """Select accounts whose network renews and whose tokens end soon and are old enough."""
        now = func.clock_timestamp()
        rules = [
            and_(
                SocialAccount.provider == provider,
                SocialAccount.access_expires_at < now + network.traits.renew_early,
                or_(
                    SocialAccount.last_refreshed_at.is_(None),
                    SocialAccount.last_refreshed_at <= now - network.traits.renew_age,
                ),
            )
            for provider, network in self.networks.by_provider.items()
            if network.traits.renew_early is not None
        ]
        return (
            select(SocialAccount)
            .where(SocialAccount.status == AccountStatus.ACTIVE, or_(*rules))
            # those that failed come behind: they must not keep a slice full, tick after tick
            .order_by(SocialAccount.refresh_failures, SocialAccount.access_expires_at, SocialAccount.id)
        )


async def end_grant(uow: UnitOfWork, account: SocialAccount, code: str) -> None:
    """Say that a human has to connect the account again, and let its posts wait for that, slice by slice."""
    if account.status != AccountStatus.ACTIVE:
        return
    transition(account, AccountStatus.NEEDS_REAUTH)
    account.status_reason = code
    await pause_some(uow, account)  # what is due next is not tried in vain until the job comes that pauses the rest
    await uow.publish(SocialAccountNeedsReauth(social_account_id=account.id))
    await give_notice(
        uow,
        {account.connected_by, *await administrators(uow)},
        "account_needs_reauth",
        key=f"needs_reauth:{account.id}:{account.token_version}",
        handle=account.handle,
    )
    await tell_endpoints(uow, "account.needs_reauth", {"social_account_id": str(account.id), "code": code})


async def pause_some(uow: UnitOfWork, account: SocialAccount) -> bool:
    """Let a slice of an account's posts wait until it is connected again; tell whether there may be more."""
    found = await uow.session.scalars(
        select(ScheduledPost)
        .where(
            ScheduledPost.organization_id == account.organization_id,
            ScheduledPost.social_account_id == account.id,
            ScheduledPost.status.in_((PostStatus.SCHEDULED, PostStatus.DISPATCHED)),
        )
        .order_by(ScheduledPost.scheduled_at)
        .limit(SLICE)
        .with_for_update(skip_locked=True)  # one that is just being taken up finds the account's state by itself
    )
    paused = found.all()
    for row in paused:
        row.paused_from, row.paused_reason = row.status, REAUTH
        transition(row, PostStatus.PAUSED)
    if paused:
        await uow.publish(PostsPaused(organization_id=account.organization_id, reason=REAUTH, count=len(paused)))
    return len(paused) == SLICE


async def _of_organization(uow: UnitOfWork, account_id: UUID) -> SocialAccount | None:
    return await uow.session.scalar(
        select(SocialAccount).where(
            SocialAccount.organization_id == uow.organization_id, SocialAccount.id == account_id
        )
    )
