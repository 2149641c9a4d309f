"""Where the queues are configured, and what the domain needs from its environment: secrets come in here alone."""

from __future__ import annotations

import hmac
import os
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

import pgqueue

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "SMM_"

CONFIGURATION = Path(__file__).with_name("pgqueue.toml")
"""The queues and the supervisor: said in this file alone."""


def settings() -> pgqueue.Settings:
    """Return the queue's settings: those of the file, and over them what the environment says (``PGQUEUE_…``)."""
    return pgqueue.Settings(file=CONFIGURATION)


class DomainSettings(BaseModel):
    """What the domain reads from ``SMM_…`` variables; all faults are reported at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fernet_keys: SecretStr
    """Comma separated; the first one seals, all of them open."""
    fingerprint_key: SecretStr = Field(min_length=16)
    password_cost: int = Field(default=15, ge=4, le=20)
    """The binary logarithm of scrypt's N."""
    base_url: str = "http://127.0.0.1:8000"
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(default=25, ge=1, le=65535)
    smtp_start_tls: bool | None = None
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    mail_from: str = "no-reply@social.example"
    mail_domain: str = "social.example"
    network_deadline_seconds: float = Field(default=20, gt=0, le=60)
    mail_deadline_seconds: float = Field(default=15, gt=0, le=25)
    storage_directory: Path = Path(".pgqueue/objects")
    """Where objects are stored unless ``storage_bucket`` names a place on S3."""
    storage_bucket: str | None = None
    storage_region: str = "us-east-1"
    storage_endpoint: str | None = None
    """Of an S3 that is not Amazon's; plain ``http`` is allowed for it."""
    storage_access_key: SecretStr = SecretStr("")
    storage_secret_key: SecretStr = SecretStr("")
    storage_deadline_seconds: float = Field(default=20, gt=0, le=60)
    instagram_client_id: str = ""
    """Without it no account of this network can be connected."""
    instagram_client_secret: SecretStr = SecretStr("")
    instagram_url: str = "https://graph.instagram.com"
    instagram_login_url: str = "https://www.instagram.com"
    instagram_token_url: str = "https://api.instagram.com"  # noqa: S105 - an address
    linkedin_client_id: str = ""
    """As above."""
    linkedin_client_secret: SecretStr = SecretStr("")
    linkedin_url: str = "https://api.linkedin.com"
    linkedin_login_url: str = "https://www.linkedin.com"
    linkedin_scopes: str = "openid profile w_member_social"
    """What is asked for there; reading takes ``r_member_social``, which the network gives to chosen applications."""
    stripe_url: str = "https://api.stripe.com"
    stripe_api_key: SecretStr = SecretStr("sk_test_not_set")
    stripe_webhook_secret: SecretStr = SecretStr("")
    """Without it no event is accepted."""
    webhook_allowed: str = ""
    """Comma separated addresses of this machine or network that webhooks and calls to networks may go to, without TLS:
    for tests."""
    webhook_deadline_seconds: float = Field(default=15, gt=0, le=25)
    embeddings_url: str = ""
    """A server that speaks OpenAI's way; empty: vectors are made of the words alone."""
    embeddings_model: str = "text-embedding-3-small"
    embeddings_key: SecretStr = SecretStr("")
    clamd_address: str = "127.0.0.1:3310"
    """``host:port``, or ``unix:/path/to/socket``."""
    scan_deadline_seconds: float = Field(default=240, gt=0, le=280)
    largest_upload_bytes: int = Field(default=200 << 20, gt=0)
    """clamd has a limit of its own (``StreamMaxLength``, 25 MB unless it is raised): what is longer is rejected."""

    @field_validator("fernet_keys")
    @classmethod
    def _keys_are_keys(cls, value: SecretStr) -> SecretStr:
        from cryptography.fernet import Fernet  # 8 MB, for those who have keys

        for key in value.get_secret_value().split(","):
            try:
                Fernet(key)
            except ValueError as error:
                message = "each key is 32 bytes in URL-safe base64; make one with Fernet.generate_key()"
                raise ValueError(message) from error
        return value

    @field_validator("webhook_allowed")
    @classmethod
    def _exceptions_are_addresses(cls, value: str) -> str:
        for address in filter(None, value.split(",")):
            ip_address(address)
        return value

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the variables that begin with ``SMM_``."""
        found = {
            name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)
        }
        return cls.model_validate(found)

    @property
    def keys(self) -> list[str]:
        """The Fernet keys, newest first."""
        return self.fernet_keys.get_secret_value().split(",")

    @property
    def network_deadline(self) -> timedelta:
        """How long one call to a network may take."""
        return timedelta(seconds=self.network_deadline_seconds)

    @property
    def mail_deadline(self) -> timedelta:
        """How long handing over one mail may take."""
        return timedelta(seconds=self.mail_deadline_seconds)

    @property
    def storage_deadline(self) -> timedelta:
        """How long one step of reading or writing an object may take."""
        return timedelta(seconds=self.storage_deadline_seconds)

    @property
    def redirect_uri(self) -> str:
        """Where networks send users back to whose accounts are being connected."""
        return f"{self.base_url.rstrip('/')}/accounts/callback"

    @property
    def webhook_exceptions(self) -> list[IPv4Address | IPv6Address]:
        """Addresses that webhooks may go to although they are not public."""
        return [ip_address(address) for address in self.webhook_allowed.split(",") if address]

    @property
    def webhook_deadline(self) -> timedelta:
        """How long delivering one webhook may take."""
        return timedelta(seconds=self.webhook_deadline_seconds)

    @property
    def link_key(self) -> bytes:
        """The key that signs links to objects: derived, so that it is good for nothing else."""
        return hmac.digest(self.fingerprint_key.get_secret_value().encode(), b"links to stored objects", "sha256")

    @property
    def browser_key(self) -> bytes:
        """The key that marks states with the browser that they belong to: derived in the same way."""
        return hmac.digest(self.fingerprint_key.get_secret_value().encode(), b"browsers that come back", "sha256")

    @property
    def mail_key(self) -> bytes:
        """The key that makes the secrets of mailed links: derived in the same way."""
        return hmac.digest(self.fingerprint_key.get_secret_value().encode(), b"links by e-mail", "sha256")

    @property
    def scan_deadline(self) -> timedelta:
        """How long the scan of one file may take."""
        return timedelta(seconds=self.scan_deadline_seconds)
