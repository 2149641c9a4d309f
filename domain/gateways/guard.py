"""Where a customer's address may lead: nowhere but to public hosts of the internet.

The name is resolved once, every address that it has is looked at, and the connection goes to one of exactly these: a
name that answers differently a moment later changes nothing, and the certificate is still checked for the name.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpcore
import httpx

from domain.gateways.failures import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = IPv4Address | IPv6Address

# What `is_global` calls public and yet leads inside, or to nobody in particular.
_NEVER_V4 = tuple(
    IPv4Network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "168.63.129.16/32",  # Azure's host, seen from inside
        "224.0.0.0/3",  # multicast and reserved
    )
)
_UNICAST_V6 = IPv6Network("2000::/3")
_NEVER_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: holds an IPv4 address
        "3fff::/20",  # documentation
    )
)


_PATIENCE = 5.0


class Blocked(Rejected):
    """The address leads where no customer may send us."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="blocked_address")


def is_public(address: Address) -> bool:
    """Tell whether an address is a host on the public internet and holds no other address."""
    if not address.is_global:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NEVER_V4)
    # outside of 2000::/3 there are mapped, NAT64 and local addresses, multicast, and what does not exist yet
    return address in _UNICAST_V6 and not any(address in network for network in _NEVER_V6)


class NotAHost(Exception):
    """Text that names no host that we would speak to; the message is for the user."""


class Guard(httpcore.AsyncNetworkBackend):
    """A network that refuses to connect to anything else; ``allowed`` are exceptions for tests and for showing."""

    def __init__(self, allowed: Iterable[Address] = ()) -> None:
        self._allowed = frozenset(allowed)
        self._network = httpcore.AnyIOBackend()

    def permits(self, address: Address) -> bool:
        """Tell whether this address may be connected to."""
        return address in self._allowed or is_public(address)

    def trusts(self, host: str) -> bool:
        """Tell whether the host is one of the exceptions: they alone may be spoken to without TLS."""
        try:
            return ip_address(host.strip("[]")) in self._allowed
        except ValueError:
            return False

    async def server(self, text: str) -> str:
        """Return the address of a server that a user named: ``https://host``. Raises `NotAHost`."""
        said = text.strip().rstrip("/")
        try:
            parts = urlsplit(said if "://" in said else f"https://{said}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise NotAHost(f"this is no server: {error}") from error
        extra = parts.path or parts.query or parts.fragment or parts.username or parts.password
        if not host or extra or not said.isascii() or not said.isprintable() or " " in said:
            raise NotAHost("name the server alone, like social.example")
        if parts.scheme != "https" and not (parts.scheme == "http" and self.trusts(host)):
            raise NotAHost("the server has to be spoken to with https")
        try:
            async with asyncio.timeout(_PATIENCE):
                await self.resolve(host, port or 443)
        except (Blocked, httpcore.ConnectError, TimeoutError) as error:
            raise NotAHost(f"there is no public server {host!r}") from error
        return f"{parts.scheme}://{parts.netloc.lower()}"

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve once, look at every address, connect to the first. Raises `Blocked`."""
        addresses = await self.resolve(host, port)
        return await self._network.connect_tcp(
            str(addresses[0]), port, timeout=timeout, local_address=local_address, socket_options=socket_options
        )

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Refuse."""
        raise Blocked(f"no sockets of this machine: {path}")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def resolve(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a host, all of them fit to be connected to. Raises `Blocked`."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"cannot resolve {host!r}") from error
        addresses = [ip_address(str(each[4][0]).partition("%")[0]) for each in found]
        # one bad address among good ones is reason enough: whoever named it meant it
        if not addresses or not all(map(self.permits, addresses)):
            raise Blocked(f"{host!r} does not lead to a public host")
        return addresses


class GuardedTransport(httpx.AsyncHTTPTransport):
    """Lets an HTTP client go where the guard permits, whatever address a user or a redirect named."""

    def __init__(self, guard: Guard) -> None:
        super().__init__(verify=trust(), trust_env=False)
        # httpx takes no network backend; its transport is a thin coat around this pool
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust(),
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
            network_backend=guard,
        )


@functools.cache
def trust() -> ssl.SSLContext:
    """Whose certificates are believed: read once for all clients, since it takes 20 ms."""
    return ssl.create_default_context()
