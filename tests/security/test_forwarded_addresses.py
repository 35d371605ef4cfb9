"""Addresses that requests claim: only proxies that are named are believed, and only what is well formed.

`X-Forwarded-For` was handed to hooks as it came, so every client could choose an address.
"""

import ipaddress
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service import ChatService, ConfigurationError
from chat_service.clock import Sparing
from chat_service.transports.network.admissions import Admissions, ConnectionLimits
from chat_service.transports.network.opening import Opening
from chat_service.transports.network.proxies import (
    FORWARDED,
    X_FORWARDED_FOR,
    TrustedProxies,
    group_of,
    read_address,
    read_forwarded,
)

OURS = ["10.0.0.0/8", "fd00::/8", "192.0.2.7"]
PEER = "10.0.0.1"


def told(value: str, *, peer: str | None = PEER, header: str = X_FORWARDED_FOR) -> str | None:
    return TrustedProxies(OURS, header).address_of(peer, {header: value})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.1.1.1,192.0.2.7", "203.0.113.9"),
        # What is on the left of the last hop that is not ours was sent by the client.
        ("10.9.9.9, 198.51.100.1, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("garbage, 203.0.113.9", "203.0.113.9"),
        ("10.9.9.9, 10.1.1.1", "10.9.9.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("203.0.113.9:1234", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9\t,\t10.1.1.1 ", "203.0.113.9"),
        # Malformed: nobody can say which client it was.
        ("", PEER),
        (",", PEER),
        ("203.0.113.9,", PEER),
        ("203.0.113.9, unknown", PEER),
        ("203.0.113.256", PEER),
        ("0203.0.113.9", PEER),
        ("203.0.113.9/32", PEER),
        ("203.0.113.9:123456", PEER),
        ("[203.0.113.9]:80", PEER),
        ("2001:db8::1%eth0", PEER),
        ("fe80::1::2", PEER),
        ("203.0.113.9\n", PEER),
        ("٢٠٣.0.113.9", PEER),
        ("203.0.113.9 10.0.0.1", PEER),
    ],
)
def test_x_forwarded_for(value: str, expected: str) -> None:
    assert told(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=203.0.113.9", "203.0.113.9"),
        ("For=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"),
        ('for="[2001:db8::1]:4711", for=10.1.1.1', "2001:db8::1"),
        ('for="203.0.113.9:80" ; host="a,b;c=\\"d"', "203.0.113.9"),
        ("for=198.51.100.1, for=203.0.113.9, for=10.2.2.2", "203.0.113.9"),
        ("for=unknown", PEER),
        ("for=_hidden", PEER),
        ("proto=https", PEER),
        ("for=203.0.113.9, proto=https", PEER),
        ("for=203.0.113.9;for=198.51.100.1", PEER),
        ("for=[2001:db8::1]", PEER),
        ('for="203.0.113.9', PEER),
        ("for=203.0.113.9;", PEER),
        ("for=203.0.113.9,", PEER),
        ("for = 203.0.113.9", PEER),
        ("203.0.113.9", PEER),
    ],
)
def test_forwarded(value: str, expected: str) -> None:
    assert told(value, header=FORWARDED) == expected


@pytest.mark.parametrize("peer", ["203.0.113.1", "192.0.2.8", "2001:db8::5", "", None, "not an address"])
def test_others_are_not_believed(peer: str | None) -> None:
    assert told("198.51.100.1", peer=peer) == peer
    assert TrustedProxies([], X_FORWARDED_FOR).address_of(PEER, {X_FORWARDED_FOR: "198.51.100.1"}) == PEER


def test_only_the_header_that_the_proxies_set_is_read() -> None:
    headers = {FORWARDED: "for=198.51.100.1", X_FORWARDED_FOR: "203.0.113.9"}
    assert TrustedProxies(OURS, X_FORWARDED_FOR).address_of(PEER, headers) == "203.0.113.9"
    assert TrustedProxies(OURS, FORWARDED).address_of(PEER, headers) == "198.51.100.1"
    assert TrustedProxies(OURS, FORWARDED).address_of(PEER, {X_FORWARDED_FOR: "203.0.113.9"}) == PEER


def test_peers_that_come_in_another_form() -> None:
    assert told("203.0.113.9", peer="::ffff:10.0.0.1") == "203.0.113.9"
    assert told("203.0.113.9", peer="fd00::1") == "203.0.113.9"
    unix = TrustedProxies(["unix"], X_FORWARDED_FOR)
    for nobody in (None, ""):
        assert unix.address_of(nobody, {X_FORWARDED_FOR: "203.0.113.9"}) == "203.0.113.9"
    assert unix.address_of(PEER, {X_FORWARDED_FOR: "203.0.113.9"}) == PEER


@given(st.text(alphabet=st.sampled_from('0123456789abcdef:.,[]%"=; \tforproto\\_é'), max_size=80))
def test_whatever_comes_is_an_address(value: str) -> None:
    for header in (X_FORWARDED_FOR, FORWARDED):
        found = told(value, header=header)
        assert found is not None
        assert found == PEER or str(ipaddress.ip_address(found)) == found


def test_a_long_header_is_read_in_no_time() -> None:
    # Patterns that look back would take years for these.
    for value in ('for="' + "\\" * 16_000, "a=b;" * 4_000, "for=" + "1" * 16_000, " " * 16_000):
        assert read_forwarded(value) is None or told(value, header=FORWARDED) == PEER
    assert read_address("1:" * 8_000) is None


def test_scheme_and_host_are_believed_with_the_address() -> None:
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "chat.example.org"}
    opening = Opening("GET", "/socket.io/", "", headers, remote_addr=PEER)
    assert opening.environ()["wsgi.url_scheme"] == "https"
    assert opening.forwarded("host") == "chat.example.org"
    opening.is_proxy_believed = False
    assert opening.environ()["wsgi.url_scheme"] == "http"
    assert opening.forwarded("host") is None


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("/run/chat.sock", "/run/chat.sock"),
        ("", ""),
        (None, ""),
    ],
)
def test_what_counts_as_one_address(address: str | None, group: str) -> None:
    assert group_of(address) == group


def test_what_has_left_is_not_counted() -> None:
    admissions = Admissions(ConnectionLimits(3, 2, 3, 2))
    for number in range(2):
        assert admissions.refusal("203.0.113.9") is None
        admissions.enter(number, "203.0.113.9")
        # Again changes nothing.
        admissions.enter(number, "203.0.113.9")
    assert admissions.refusal("203.0.113.9") == "address"
    assert admissions.refusal("203.0.113.8") is None
    admissions.settle(0)
    admissions.settle(0)
    assert (len(admissions), admissions.pending) == (2, 1)
    admissions.enter(2, "203.0.113.8")
    assert admissions.refusal("203.0.113.7") == "connections"
    for number in (0, 0, 1, 2):
        admissions.leave(number)
    assert (len(admissions), admissions.pending) == (0, 0)
    assert admissions.refusal("203.0.113.9") is None
    assert admissions.refused == {"connections": 1, "address": 1, "pending": 0, "pending_address": 0}
    # Nothing is left of those who were there.
    assert not admissions._all._groups and not admissions._all._by_group
    assert not admissions._pending._groups and not admissions._pending._by_group


def test_refusals_are_logged_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    admissions = Admissions(ConnectionLimits(pending=1))
    admissions._log = Sparing(now=lambda: now)
    admissions.enter("first", PEER)
    with caplog.at_level(logging.WARNING, "chat_service"):
        for _ in range(1000):
            assert admissions.refusal("203.0.113.9") == "pending"
        now += 1
        admissions.refusal("203.0.113.8")
    assert [record.getMessage() for record in caplog.records] == [
        "refused 1 connections: too many connections without a login, the last one from 203.0.113.9",
        "refused 1000 connections: too many connections without a login, the last one from 203.0.113.8",
    ]
    assert admissions.refused["pending"] == 1001


@pytest.mark.covers(
    "transport_option:max_connections",
    "transport_option:max_connections_per_address",
    "transport_option:max_pending_connections",
    "transport_option:max_pending_connections_per_address",
    "transport_option:trusted_proxies",
    "transport_option:forwarded_header",
)
@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        *(
            (name, [0, -1, 1.5, True, "5"], "expected None or a number, more than 0")
            for name in (
                "max_connections",
                "max_connections_per_address",
                "max_pending_connections",
                "max_pending_connections_per_address",
            )
        ),
        ("trusted_proxies", ["10.0.0.0/8", [5], [""], 5], "expected a list of addresses and networks"),
        ("trusted_proxies", [["10.0.0.1/8"]], "10.0.0.1/8 has host bits set"),
        ("trusted_proxies", [["proxy.example.org"]], "does not appear to be an IPv4 or IPv6 network"),
        ("forwarded_header", ["x-real-ip", None, ""], "expected 'x-forwarded-for' or 'forwarded'"),
    ],
)
def test_options_that_cannot_be(name: str, values: list[object], expected: str) -> None:
    for value in values:
        with pytest.raises(ConfigurationError, match=f"transport_options {name}: .*{expected}"):
            ChatService(transport_options={name: value})
