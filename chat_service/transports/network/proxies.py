"""The addresses of clients behind proxies: which proxies are trusted, and what their headers say."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: The headers that may contain the address of a client.
X_FORWARDED_FOR: Final = "x-forwarded-for"
FORWARDED: Final = "forwarded"
FORWARDED_HEADERS: Final = (X_FORWARDED_FOR, FORWARDED)

#: Stands for peers without an address, which connect through a Unix socket.
UNIX: Final = "unix"

#: The length in bits of an IPv6 prefix that counts as one address.
SUBSCRIBER_BITS: Final = 64

_NODE = re.compile(
    r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|(\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5})?|([0-9A-Fa-f:.]+)"
)
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - of HTTP
_PAIR = re.compile(rf'[ \t]*({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")[ \t]*([;,]|$)')


def read_networks(values: Iterable[str]) -> tuple[tuple[Network, ...], bool]:
    """The networks, and whether peers without an address belong to them. Raises ``ValueError``."""
    names = list(values)
    return tuple(ip_network(name) for name in names if name != UNIX), UNIX in names


def read_address(text: str) -> Address | None:
    """An address, with or without brackets and a port; None for anything else."""
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    try:
        found = ip_address(match[1] or match[2] or match[3])
    except ValueError:
        return None
    if match[1] and found.version == 4:
        return None
    return _plain(found)


def _plain(address: Address) -> Address:
    """An IPv4 address written as IPv6, as by servers that listen for both, in its IPv4 form."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def read_forwarded(value: str) -> list[str] | None:
    """The ``for`` of each hop in a ``Forwarded`` header (RFC 7239). None if any of it is malformed."""
    hops: list[str] = []
    at, fields = 0, set[str]()
    while True:
        match = _PAIR.match(value, at)
        if match is None:
            return None
        name, at = match[1].lower(), match.end()
        if name in fields:
            return None
        fields.add(name)
        if name == "for":
            hops.append(match[2] if match[2] is not None else re.sub(r"\\(.)", r"\1", match[3]))
        if match[4] != ";":
            if "for" not in fields:
                return None
            fields = set()
        if not match[4]:
            return hops


class TrustedProxies:
    """Proxies that are trusted to tell the client's address."""

    def __init__(self, networks: Sequence[str], header: str) -> None:
        """``networks``: see ``read_networks``. ``header``: the header that the proxies set.

        The other header is never read: a client could send it through a proxy that does not replace it.
        """
        self._networks, self._trusts_unix = read_networks(networks)
        self._header = header
        # All requests come from the same few proxies.
        self.trusts = lru_cache(maxsize=1024)(self._trusts)

    def _trusts(self, peer: str | None) -> bool:
        """Whether a peer is one of the proxies."""
        if not peer:
            return self._trusts_unix
        address = read_address(peer)
        return address is not None and self._is_ours(address)

    def _is_ours(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def address_of(self, peer: str | None, headers: Mapping[str, str]) -> str | None:
        """The address of the client: the last hop that is not one of the proxies.

        The peer's address if it is not one of the proxies, or if the header is missing or malformed.
        """
        value = headers.get(self._header)
        if value is None or not self.trusts(peer):
            return peer
        hops = read_forwarded(value) if self._header == FORWARDED else value.split(",")
        found: Address | None = None
        for hop in reversed(hops or ()):
            found = read_address(hop.strip(" \t"))
            if found is None:
                return peer
            if not self._is_ours(found):
                break
        return peer if found is None else str(found)


def group_of(address: str | None) -> str:
    """What counts as one address: an IPv6 /64 network, which one subscriber usually controls, or an IPv4
    address.
    """
    found = read_address(address) if address else None
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found), SUBSCRIBER_BITS), strict=False))
    return address or "" if found is None else str(found)
