"""StartConnecting, FinishConnecting and ConnectWithPassword.

The state that a user carries to the network and back is good once, for ten minutes, and for that user alone; we keep
its hash. It is spent before the code is: whatever becomes of the exchange, the user begins anew.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from domain.gateways.connecting import Arrival, Place, Trip
from domain.gateways.failures import AuthExpired, GatewayError
from domain.gateways.guard import NotAHost
from domain.gateways.revocation import Grant, Revocation
from domain.gateways.vault import SealBroken, Tokens
from domain.models import AccountConnection, Right, User, new_id
from domain.use_cases.accounts.apps import forget_client, known_client, remember_client
from domain.use_cases.accounts.keeping import Connected, keep
from domain.use_cases.clock import database_now
from domain.use_cases.organizations.authorizing import require
from pgqueue import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.gateways.bluesky import Bluesky
    from domain.gateways.connecting import Client, Door
    from domain.gateways.guard import Guard
    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitsOfWork
    from domain.use_cases.accounts.browsers import Browsers

GOOD_FOR = timedelta(minutes=10)
_BYTES = 32


class NotConnected(Exception):
    """The account was not connected; ``code`` tells programs why, the message is for the user."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Entrance:
    """A network as far as connecting goes."""

    door: Door
    base_url: str | None
    """Where it is; None: the user names a server."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the user is to go. The address holds the state: it is for this user's browser alone."""

    url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Connecting:
    """What the three share."""

    units: UnitsOfWork
    vault: Vault
    guard: Guard
    revocation: Revocation
    entrances: Mapping[str, Entrance]
    redirect_uri: str
    browsers: Browsers

    async def place(self, provider: str, server: str | None) -> tuple[Door, Place]:
        """Return a network's way in and where it is. Raises `NotConnected`."""
        entrance = self.entrances.get(provider)
        if entrance is None:
            known = ", ".join(sorted(self.entrances))
            raise NotConnected(f"accounts are connected so on: {known}", code="unknown_provider")
        base_url = entrance.base_url
        if base_url is None:
            base_url = await self.server(server or "")
        return entrance.door, Place(base_url, self.redirect_uri)

    async def server(self, named: str) -> str:
        """Return the address of a server that a user named. Raises `NotConnected`."""
        try:
            return await self.guard.server(named)
        except NotAHost as error:
            raise NotConnected(str(error), code="bad_server") from error

    async def client(self, context: Context, provider: str, door: Door, place: Place) -> Client:
        """Return who we are there, and remember it where we had to register."""
        try:
            async with self.units.begin(context) as uow:
                known = await known_client(uow, self.vault, provider, place.base_url)
        except SealBroken:
            known = None  # sealed with a key that is gone: we register again
        if known is not None:
            return known
        try:
            client = await door.client(place)
        except GatewayError as error:
            raise refused(error) from error
        if self.entrances[provider].base_url is None:
            async with self.units.begin(context) as uow:
                await remember_client(uow, self.vault, provider, place.base_url, client)
                client = await known_client(uow, self.vault, provider, place.base_url) or client
        return client

    async def store(self, context: Context, provider: str, place: Place, arrival: Arrival) -> Connected:
        """Store the account; what may not be stored is given back. Raises `PlanLimit`, `NotAMember`, `Forbidden`."""
        try:
            async with self.units.begin(context) as uow:
                await require(uow, Right.CONNECT)
                return await keep(uow, self.vault, provider, place.base_url, arrival)
        except Exception:
            with suppress(GatewayError, SealBroken):  # the user may still take it back there
                async with self.units.begin(context) as uow:
                    client = await known_client(uow, self.vault, provider, place.base_url)
                await self.revocation.revoke(Grant(provider, place.base_url, arrival.tokens, client))
            raise


@dataclass(frozen=True, slots=True)
class StartConnecting:
    """Somebody wants to connect an account, and is sent to its network."""

    connecting: Connecting

    async def __call__(
        self, context: Context, provider: str, *, server: str | None = None, browser: str | None = None
    ) -> Departure:
        """Return where to go; ``server`` where the network has many (``mastodon``).

        In this ``browser`` the user can come back without a session; None: somebody shows one then.

        Raises `NotConnected`, `NotAMember`, `Forbidden`. The plan is asked at the end: we may have the account.
        """
        connecting = self.connecting
        async with connecting.units.begin(context) as uow:
            await require(uow, Right.CONNECT)
            user = await uow.session.get_one(User, uow.user_id)
        door, place = await connecting.place(provider, server)
        client = await connecting.client(context, provider, door, place)
        trip = Trip(connecting.browsers.state(user, browser), secrets.token_urlsafe(_BYTES))
        connection_id = new_id()
        sealed = connecting.vault.seal(connection_id, Tokens(trip.verifier))
        async with connecting.units.begin(context) as uow:
            expires_at = await database_now(uow) + GOOD_FOR
            uow.session.add(
                AccountConnection(
                    id=connection_id,
                    organization_id=uow.organization_id,
                    user_id=uow.user_id,
                    provider=provider,
                    base_url=place.base_url,
                    state_hash=hashed(trip.state),
                    verifier=sealed.blob,
                    expires_at=expires_at,
                )
            )
        return Departure(door.address(place, client, trip), expires_at)


@dataclass(frozen=True, slots=True)
class FinishConnecting:
    """The network sent the user back to us."""

    connecting: Connecting

    async def __call__(
        self, context: Context, *, state: str, code: str | None = None, error: str | None = None
    ) -> Connected:
        """Connect the account in the organization that the user set out from; the context's one does not matter.

        Raises `NotConnected`, `NotAMember`, `Forbidden`, `PlanLimit`.
        """
        connection = await self._spend(context, state)
        own = Context(str(connection.organization_id), context.user_id, context.correlation_id)
        if code is None or error is not None:
            raise NotConnected("you did not allow us in", code="denied")
        entrance = self.connecting.entrances[connection.provider]
        place = Place(connection.base_url, self.connecting.redirect_uri)
        arrival = await self._arrive(own, connection, entrance.door, place, code)
        return await self.connecting.store(own, connection.provider, place, arrival)

    async def _spend(self, context: Context, state: str) -> AccountConnection:
        """Take the state out of use. Forged, used, too old or somebody else's: all are told the same."""
        async with self.connecting.units.begin(context) as uow:
            row = await uow.session.scalar(
                select(AccountConnection)
                .where(
                    AccountConnection.state_hash == hashed(state),
                    AccountConnection.user_id == uow.user_id,
                    AccountConnection.used_at.is_(None),
                    AccountConnection.expires_at > func.clock_timestamp(),
                )
                .with_for_update()
            )
            if row is None:
                raise NotConnected("this attempt is over; begin again", code="unknown_state")
            row.used_at = await database_now(uow)
            return row

    async def _arrive(
        self, context: Context, connection: AccountConnection, door: Door, place: Place, code: str
    ) -> Arrival:
        connecting, provider = self.connecting, connection.provider
        client = await connecting.client(context, provider, door, place)
        try:
            verifier = connecting.vault.open(connection.id, connection.verifier or "").access
            return await door.arrive(place, client, code=code, verifier=verifier)
        except SealBroken as error:
            raise NotConnected("this attempt is over; begin again", code="unknown_state") from error
        except AuthExpired as error:
            async with connecting.units.begin(context) as uow:
                await forget_client(uow, provider, place.base_url, client)
            raise refused(error) from error
        except GatewayError as error:
            raise refused(error) from error


@dataclass(frozen=True, slots=True)
class ConnectWithPassword:
    """Bluesky: an app password opens a session. The password is used once and kept nowhere.

    The AT Protocol's OAuth (pushed requests, DPoP, a published client document) is not what this does.
    """

    connecting: Connecting
    bluesky: Bluesky

    async def __call__(
        self, context: Context, *, identifier: str, password: str, server: str = "https://bsky.social"
    ) -> Connected:
        """Connect the account. Raises `NotConnected`, `NotAMember`, `Forbidden`, `PlanLimit`."""
        connecting = self.connecting
        async with connecting.units.begin(context) as uow:
            await require(uow, Right.CONNECT)
        place = Place(await connecting.server(server), connecting.redirect_uri)
        try:
            signed_in = await self.bluesky.sign_in(place.base_url, identifier.strip().removeprefix("@"), password)
        except AuthExpired as error:
            raise NotConnected("handle and app password do not fit", code="wrong_credentials") from error
        except GatewayError as error:
            raise refused(error) from error
        renewal = signed_in.renewal
        arrival = Arrival(
            signed_in.did, f"@{signed_in.handle or signed_in.did}", renewal.tokens, expires_at=renewal.expires_at
        )
        return await connecting.store(context, "bluesky", place, arrival)


def refused(error: GatewayError) -> NotConnected:
    """Tell the user what a network's failure means; its own words stay in the chain of errors."""
    messages = {
        "not_set_up": str(error),
        "invalid_grant": "the network did not accept the answer; begin again",
        "blocked_address": "there is no public server at this address",
    }
    message = messages.get(error.code, "the network could not be asked; try again later")
    return NotConnected(message, code=error.code)


def hashed(state: str) -> bytes:
    """Return what we keep of a state."""
    # a random secret of 32 bytes needs no salt and no slow hash: there is nothing to guess
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).digest()
