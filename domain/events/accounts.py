"""Accounts on the networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SocialAccountConnected:
    """An account may be used for the first time."""

    social_account_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SocialAccountReconnected:
    """An account may be used again."""

    social_account_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SocialAccountNeedsReauth:
    """The network refuses our credentials; a human has to connect the account again."""

    social_account_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SocialAccountDisabled:
    """The plan does not allow the account any more."""

    social_account_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SocialAccountRevoked:
    """The account is not ours any more and its credentials are wiped."""

    social_account_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensRefreshed:
    """An account has new credentials."""

    social_account_id: UUID
    token_version: int
