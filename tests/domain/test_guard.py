"""Every form in which an address can point inside."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import httpcore
import pytest

from domain.gateways.guard import Blocked, Guard, is_public

if TYPE_CHECKING:
    from domain.standins import ReceiverStandIn

INSIDE = [
    "0.0.0.0",  # noqa: S104 - a name for this host
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",  # metadata of Alibaba
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # Azure's host: public by its number
    "169.254.169.254",  # metadata of most clouds
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.9",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",  # compatible
    "::ffff:127.0.0.1",  # mapped
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",  # translated
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b::808:808",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",  # Teredo
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4 with loopback in it
    "2002:808:808::",
    "3fff::1",
    "4000::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata of AWS
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
OUTSIDE = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]

# what getaddrinfo makes an address of
SPELLINGS = [
    "localhost",
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "[::1]".strip("[]"),
    "::ffff:7f00:1",
    "0:0:0:0:0:ffff:127.0.0.1",
    "fe80::1%lo",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
]


@pytest.mark.trap("an address inside, in any spelling")
@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_leads_inside_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.trap("an address inside, in any spelling")
@pytest.mark.anyio
@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_an_address_gets_past_the_guard(host: str) -> None:
    with pytest.raises(Blocked):
        await Guard().connect_tcp(host, 80)


@pytest.mark.anyio
@pytest.mark.parametrize("spelling", ["127.0.0.1", "127.1", "2130706433", "0x7f000001"])
async def test_the_guard_sees_what_is_connected_to(receiver: ReceiverStandIn, spelling: str) -> None:
    """Without the guard these spellings do reach loopback: the table above is not about nothing."""
    plain = httpcore.AnyIOBackend()
    await (await plain.connect_tcp(spelling, receiver.service.port)).aclose()
    with pytest.raises(Blocked):
        await Guard().connect_tcp(spelling, receiver.service.port)
    await (await Guard([ip_address("127.0.0.1")]).connect_tcp(spelling, receiver.service.port)).aclose()


@pytest.mark.trap("a name answers well to the check and badly to the connection")
@pytest.mark.anyio
async def test_a_name_is_resolved_once_and_one_bad_address_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers well to the check and badly to the connection has nothing to gain."""
    import asyncio

    asked = []

    async def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        addresses = [("8.8.8.8", port), ("127.0.0.1", port)] if host == "mixed.example" else [("8.8.8.8", port)]
        return [(2, 1, 6, "", address) for address in addresses]

    connected = []

    async def connect(host: str, *_: object, **__: object) -> object:
        connected.append(host)
        return object()

    guard = Guard()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    monkeypatch.setattr(guard._network, "connect_tcp", connect)
    await guard.connect_tcp("good.example", 443)
    assert (asked, connected) == (["good.example"], ["8.8.8.8"])
    with pytest.raises(Blocked):
        await guard.connect_tcp("mixed.example", 443)
    assert connected == ["8.8.8.8"]


@pytest.mark.anyio
async def test_sockets_of_the_machine_are_refused() -> None:
    with pytest.raises(Blocked):
        await Guard().connect_unix_socket("/var/run/docker.sock")
