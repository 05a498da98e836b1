"""The network guard: every spelling of an address that must not be reached. Nothing here is dialled."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver.http.guard import (
    GuardRefusal,
    check_address,
    check_url_literal,
    literal_address,
    parse_allow,
    refusal,
)
from pipeline.deliver.http.resolve import Resolver

REFUSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.1.2.3 169.254.169.254
169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1
198.19.255.255 198.51.100.7 203.0.113.7 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:8.8.8.8 ::8.8.8.8 ::ffff:0:127.0.0.1
64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1 2001:0:53aa:64c:0:7f:80ff:fffe
2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fd12:3456::1 fe80::1
fe80::1%eth0 febf::1 fec0::1 ff02::1 ff0e::1 4000::1 1::1
"""

ALLOWED = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255
172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
2606:4700:4700::1111 2a00:1450:4001::1 2001:4860:4860::8888 2400:cb00::1
"""


@pytest.mark.parametrize("address", REFUSED.split())
def test_special_addresses_are_refused(address: str) -> None:
    assert refusal(address)
    with pytest.raises(GuardRefusal, match=r"network\.allow"):
        check_address("receiver.example", address)


@pytest.mark.parametrize("address", ALLOWED.split())
def test_public_addresses_are_not(address: str) -> None:
    assert refusal(address) is None


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_ipv4_address_in_an_ipv6_one_is_never_reached(address: IPv4Address) -> None:
    number = int(address)
    for form in (
        f"::ffff:{address}",
        f"::{address}" if number > 1 else "::1",
        f"64:ff9b::{address}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1",
        f"2001:0:1:1:0:0:{(number >> 16) ^ 0xFFFF:x}:{(number & 0xFFFF) ^ 0xFFFF:x}",
    ):
        assert refusal(form), form


@given(st.ip_addresses())
def test_what_the_standard_library_calls_private_is_refused(address: Any) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        # 3.11 and 3.12 differ in a few exceptions inside 192.0.0.0/24 and 2001::/23; we refuse them all.
        assert refusal(str(address)), address


def test_an_owner_opens_what_he_names_and_no_more() -> None:
    allow = parse_allow(["127.0.0.0/8", "10.1.2.3", "fd00::/8"])
    assert refusal("127.0.0.1", allow) is None
    assert refusal("10.1.2.3", allow) is None
    assert refusal("fd00::1", allow) is None
    for address in ("10.1.2.4", "::ffff:127.0.0.1", "::1", "192.168.0.1", "fc00::1"):
        assert refusal(address, allow)


@pytest.mark.parametrize("cidr", ["10.0.0.0/33", "everything", "", "1.2.3.4/x"])
def test_a_bad_network_is_refused(cidr: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_allow([cidr])


SPELLINGS = {
    "127.0.0.1": ["127.1", "127.0.1", "2130706433", "0x7f000001", "017700000001", "0x7f.0.0.1", "0177.0.0.1",
                  "0177.0x0.0.1", "127.0.0.1.", "0x7F.1", "00000177.0.0.1", "0x7f.0x000001"],
    "169.254.169.254": ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "169.16689662"],
    "0.0.0.0": ["0", "0x0", "00", "0x", "0.0"],
    "10.0.0.1": ["10.1", "0xa.1", "012.1", "167772161"],
}  # fmt: skip


@pytest.mark.parametrize(("address", "spelling"), [(a, s) for a, all_ in SPELLINGS.items() for s in all_])
def test_odd_spellings_are_understood_and_refused(address: str, spelling: str) -> None:
    assert literal_address(spelling) == address
    assert check_url_literal(spelling)
    # Even where the owner opened the network: nobody writes addresses like this in good faith.
    if spelling != f"{address}.":
        assert check_url_literal(spelling, parse_allow(["0.0.0.0/0"]))


@pytest.mark.parametrize("spelling", [s for all_ in SPELLINGS.values() for s in all_])
def test_the_c_library_reads_them_as_we_do(spelling: str) -> None:
    try:
        theirs = socket.inet_ntoa(socket.inet_aton(spelling))
    except OSError:
        return  # stricter than we are
    assert literal_address(spelling) == theirs


@pytest.mark.parametrize(
    "host", ["[::1]", "::1", "[::ffff:127.0.0.1]", "[fe80::1%25eth0]", "localhost", "LOCALHOST", "localhost.",
             "a.localhost", "127.0.0.1", "256.256.256.256", "1.2.3.4.5", "0x7g.1", "1.2.3.09", "999"]
)  # fmt: skip
def test_hosts_that_check_refuses(host: str) -> None:
    if host == "0x7g.1":
        assert check_url_literal(host) == "not a host name"
    assert check_url_literal(host)


@pytest.mark.parametrize(
    "host", ["example.com", "a1.example", "1.example", "8.8.8.8", "2606:4700::1111", "x"]
)
def test_hosts_that_check_lets_pass(host: str) -> None:
    assert check_url_literal(host) is None


def test_loopback_by_name_is_open_where_loopback_is() -> None:
    assert check_url_literal("localhost", parse_allow(["127.0.0.0/8"])) is None


def test_what_is_looked_up_is_judged_and_a_good_answer_kept_for_a_while() -> None:
    asked: list[str] = []

    def lookup(host: str, port: int) -> Any:
        asked.append(host)
        found = {"mixed.example": ["10.0.0.1", "8.8.8.8"], "bad.example": ["10.0.0.1", "::1"]}[host]
        return [(0, 0, 0, "", (address, port)) for address in found]

    async def main() -> None:
        resolver = Resolver((), lookup)
        for _ in range(3):
            assert [info[4][0] for info in await resolver.resolve("mixed.example", 443)] == ["8.8.8.8"]
        assert asked == ["mixed.example"]
        resolver.forget("mixed.example", 443)
        await resolver.resolve("mixed.example", 443)
        assert len(asked) == 2
        for _ in range(2):
            with pytest.raises(GuardRefusal, match=r"bad\.example is 10\.0\.0\.1"):
                await resolver.resolve("bad.example", 443)
        assert asked.count("bad.example") == 2
        assert [info[4][0] for info in await resolver.resolve("8.8.8.8", 443)] == ["8.8.8.8"]

    asyncio.run(main())


def test_lookups_of_one_name_are_shared_and_one_that_hangs_holds_nobody_else() -> None:
    import threading

    hang = threading.Event()
    asked: list[str] = []

    def lookup(host: str, port: int) -> Any:
        asked.append(host)
        if host == "hangs.example":
            hang.wait(30)
        return [(0, 0, 0, "", ("8.8.8.8", port))]

    async def main() -> None:
        resolver = Resolver((), lookup)
        stuck = [asyncio.ensure_future(resolver.resolve("hangs.example", 443)) for _ in range(50)]
        await asyncio.sleep(0)
        for n in range(20):
            assert await resolver.resolve(f"{n}.good.example", 443)
        assert asked.count("hangs.example") == 1
        hang.set()
        assert len(await asyncio.gather(*stuck)) == 50

    asyncio.run(main())


@given(st.text(max_size=60))
def test_no_host_breaks_the_guard(host: str) -> None:
    check_url_literal(host)
    address = literal_address(host)
    assert address is None or ip_address(address)
