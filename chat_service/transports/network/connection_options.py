"""Options that several transports have: limits of connections, and the checks of HTTP requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chat_service.open_files import connections_within, open_files_limit
from chat_service.option_group import OptionGroup, is_text
from chat_service.transports.network.admissions import ConnectionLimits
from chat_service.transports.network.gate import Gate
from chat_service.transports.network.opening import HeadLimits
from chat_service.transports.network.origins import AllowedHosts, AllowedOrigins
from chat_service.transports.network.proxies import (
    FORWARDED_HEADERS,
    X_FORWARDED_FOR,
    TrustedProxies,
    read_networks,
)

#: In the order of the fields of ``ConnectionLimits``.
CONNECTION_LIMITS = (
    "max_connections",
    "max_connections_per_address",
    "max_pending_connections",
    "max_pending_connections_per_address",
)


@dataclass(frozen=True, kw_only=True, repr=False)
class ConnectionOptions(OptionGroup):
    """The options of every transport with connections. The slots are in its subclasses."""

    __slots__ = ()

    #: Maximum size in bytes of an incoming message: a packet, or all attachments of a message (Socket.IO), a
    #: frame, or a line. A larger one ends the connection.
    max_message_size: int = 1_000_000
    #: Maximum number of values in an incoming message: elements of arrays and members of objects, however
    #: deep; an empty array or object counts as two. One with more values ends the connection.
    max_message_values: int = 25_000
    #: Maximum number of bytes of events that wait for a client; beyond it the client is disconnected.
    #: Answers do not count.
    send_buffer_limit: int = 1024 * 1024
    #: Maximum time in seconds for a new client to connect to a namespace (Socket.IO), or to log in or send
    #: its first command (other transports).
    connect_timeout: float = 45.0
    #: Maximum number of connections of this transport on this instance; further ones are refused, over HTTP
    #: with 503. None: as many as the limit of open files allows, less a tenth of it (32 to 1000) for other
    #: files.
    max_connections: int | None = None
    #: Maximum number of its connections from one address (of IPv6: from one /64); further ones are refused,
    #: over HTTP with 429. None: no limit, as behind a proxy that is not in `trusted_proxies`.
    max_connections_per_address: int | None = None
    #: Maximum number of its connections whose login is not complete; further ones are refused, over HTTP with
    #: 503. None: no limit.
    max_pending_connections: int | None = 5_000
    #: Maximum number of such connections from one address; further ones are refused, over HTTP with 429.
    #: None: no limit.
    max_pending_connections_per_address: int | None = None

    def check_connections(self) -> None:
        """Check the options of this class. Raises ``ConfigurationError``."""
        self.check_seconds("connect_timeout")
        self.check_count("a number of bytes", "max_message_size", "send_buffer_limit")
        self.check_count("a number", "max_message_values")
        for name in CONNECTION_LIMITS:
            if getattr(self, name) is not None:
                self.check_count("None or a number", name)

    @property
    def connection_limits(self) -> ConnectionLimits:
        """The limits of connections, within the limit of open files."""
        limits = ConnectionLimits(*(getattr(self, name) for name in CONNECTION_LIMITS))
        files = open_files_limit()
        possible = connections_within(files)
        if files is None or possible is None:
            return limits
        # At the limit, polling clients still need new connections for their requests.
        limits = limits._replace(files=(files + possible) // 2)
        if limits.connections is not None and limits.connections <= possible:
            return limits
        return limits._replace(connections=possible)


@dataclass(frozen=True, kw_only=True, repr=False)
class HttpOptions(ConnectionOptions):
    """The options of transports whose connections begin as HTTP requests."""

    __slots__ = ()

    #: Origins from which browsers may connect: "https://chat.example.org", "https://*.example.org" for all
    #: subdomains, "*" for all. None: only the server's own origin.
    cors_allowed_origins: str | Sequence[str] | None = None
    #: Host names that requests may use: "chat.example.org", "*.example.org" for all subdomains. None: all.
    #: This prevents DNS rebinding, in which a page reaches the service through its own host name.
    allowed_hosts: str | Sequence[str] | None = None
    #: Addresses and networks of your proxies, such as "10.0.0.0/8", and "unix" for Unix sockets. They
    #: are trusted to tell the addresses of clients. None: no proxy is, but `X-Forwarded-Proto` and `-Host`
    #: are read.
    trusted_proxies: Sequence[str] | None = None
    #: The header with the client's address: "x-forwarded-for" or "forwarded". The other one is ignored.
    forwarded_header: str = X_FORWARDED_FOR
    #: Maximum size in bytes of a request's first line, which contains the query.
    max_request_line_size: int = 16 * 1024
    #: Maximum total size in bytes of a request's headers, including cookies and tokens.
    max_header_size: int = 16 * 1024
    #: Maximum time in seconds for the head of the first request on a new connection to arrive; on our own
    #: port.
    head_timeout: float = 30.0
    #: Name of the cookie that is the `fingerprint` of handshakes. None: it is the id of the socket.
    fingerprint_cookie: str | None = None
    #: Compress outgoing messages for clients that support it.
    compression: bool = False

    def check_http(self) -> None:
        """Check the options of this class. Raises ``ConfigurationError``."""
        self.check_seconds("head_timeout")
        self.check_count("a number of bytes", "max_request_line_size", "max_header_size")
        self._check_proxies()
        # The library takes an empty list of origins as permission for all.
        self._check_names("cors_allowed_origins", AllowedOrigins, 'an origin, a list of origins, "*" or None')
        self._check_names("allowed_hosts", AllowedHosts, "a host, a list of hosts or None")
        cookie = self.fingerprint_cookie
        self.check("fingerprint_cookie", cookie is None or is_text(cookie), "the name of a cookie, or None")
        self.check("compression", type(self.compression) is bool, "True or False")

    def _check_names(self, name: str, read: Callable[[Any], object], expected: str) -> None:
        """Check a text, a list of texts or None, which ``read`` refuses with ``ValueError``."""
        given = getattr(self, name)
        is_list = isinstance(given, list | tuple) and bool(given) and all(map(is_text, given))
        self.check(name, given is None or is_text(given) or is_list, expected)
        try:
            read(given)
        except ValueError as error:
            raise self.error(str(error), name) from None

    def _check_proxies(self) -> None:
        names = self.trusted_proxies
        is_list = isinstance(names, list | tuple) and all(map(is_text, names))
        self.check("trusted_proxies", names is None or is_list, "a list of addresses and networks, or None")
        try:
            read_networks(names or ())
        except ValueError as error:
            raise self.error(str(error), "trusted_proxies") from None
        expected = " or ".join(map(repr, FORWARDED_HEADERS))
        self.check("forwarded_header", self.forwarded_header in FORWARDED_HEADERS, expected)

    @property
    def proxies(self) -> TrustedProxies | None:
        """The proxies to trust about addresses; None if there are none."""
        names = self.trusted_proxies
        return None if names is None else TrustedProxies(names, self.forwarded_header)

    def make_gate(self) -> Gate:
        """The checks of requests."""
        return Gate(
            origins=AllowedOrigins(self.cors_allowed_origins),
            hosts=AllowedHosts(self.allowed_hosts),
            limits=HeadLimits(self.max_request_line_size, self.max_header_size),
            proxies=self.proxies,
        )
