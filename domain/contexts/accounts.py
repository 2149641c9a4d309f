"""Accounts on the networks: how they come and go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.gateways import bluesky, instagram, linkedin, mastodon
from domain.gateways.connecting import Client
from domain.gateways.connecting.instagram import InstagramAccess, InstagramDoor
from domain.gateways.connecting.linkedin import LinkedInAccess, LinkedInDoor
from domain.gateways.connecting.mastodon import MastodonDoor
from domain.gateways.guard import Guard
from domain.gateways.revocation import Revocation
from domain.use_cases.accounts.browsers import Browsers
from domain.use_cases.accounts.connecting import (
    Connecting,
    ConnectWithPassword,
    Entrance,
    FinishConnecting,
    StartConnecting,
)
from domain.use_cases.accounts.disconnecting import DisconnectAccount
from domain.use_cases.accounts.returning import FinishInBrowser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.contexts import Parts


@dataclass(frozen=True, slots=True)
class Accounts:
    """The use cases of this context."""

    start_connecting: StartConnecting
    finish_connecting: FinishConnecting
    finish_in_browser: FinishInBrowser
    connect_with_password: ConnectWithPassword
    disconnect_account: DisconnectAccount
    over_tls: bool
    """Whether browsers reach us encrypted."""


def accounts(parts: Parts) -> Accounts:
    """Put the context together."""
    configuration = parts.configuration
    deadline = configuration.network_deadline
    revocation = Revocation(parts.outside, parts.breakers, deadline=deadline)
    connecting = Connecting(
        parts.units,
        parts.vault,
        Guard(configuration.webhook_exceptions),
        revocation,
        _entrances(parts),
        configuration.redirect_uri,
        Browsers(configuration.browser_key),
    )
    finish = FinishConnecting(connecting)
    return Accounts(
        start_connecting=StartConnecting(connecting),
        finish_connecting=finish,
        finish_in_browser=FinishInBrowser(finish),
        connect_with_password=ConnectWithPassword(
            connecting, bluesky.Bluesky(parts.outside, parts.breakers, deadline=deadline)
        ),
        over_tls=configuration.base_url.startswith("https:"),
        disconnect_account=DisconnectAccount(parts.units, parts.vault, revocation),
    )


def _entrances(parts: Parts) -> Mapping[str, Entrance]:
    http, breakers, configuration = parts.outside, parts.breakers, parts.configuration
    deadline = configuration.network_deadline
    on_instagram = InstagramAccess(
        Client(configuration.instagram_client_id, configuration.instagram_client_secret.get_secret_value()),
        configuration.instagram_login_url,
        configuration.instagram_token_url,
    )
    on_linkedin = LinkedInAccess(
        Client(configuration.linkedin_client_id, configuration.linkedin_client_secret.get_secret_value()),
        configuration.linkedin_login_url,
        configuration.linkedin_scopes,
    )
    return {
        mastodon.PROVIDER: Entrance(MastodonDoor(http, breakers, deadline=deadline), None),
        instagram.PROVIDER: Entrance(
            InstagramDoor(http, breakers, on_instagram, deadline=deadline), configuration.instagram_url
        ),
        linkedin.PROVIDER: Entrance(
            LinkedInDoor(http, breakers, on_linkedin, deadline=deadline), configuration.linkedin_url
        ),
    }
