"""Options of the Socket.IO transport (server-api.md, ``transport_options``)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from chat_service.open_files import connections_within, open_files_limit
from chat_service.option_group import is_text
from chat_service.transports.socketio.engine.admissions import ConnectionLimits
from chat_service.transports.socketio.gate_options import GateOptions
from chat_service.transports.socketio.proxies import (
    X_FORWARDED_FOR,
)

#: Called with the ``Handshake`` of a connecting socket. Raising refuses the connection.
Middleware = Callable[..., Any]

TRANSPORTS = ("polling", "websocket")
SERIALIZERS = ("json", "msgpack")
#: In the order of the fields of ``ConnectionLimits``.
CONNECTION_LIMITS = (
    "max_connections",
    "max_connections_per_address",
    "max_pending_connections",
    "max_pending_connections_per_address",
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SocketIOOptions(GateOptions):
    """Options of the transport. An invalid value raises ``ConfigurationError``."""

    group: ClassVar = "transport_options"

    #: One callable or several, plain or coroutine functions.
    middleware: Middleware | Sequence[Middleware] = ()
    #: An ``aiohttp.web.Application`` or an ASGI application to mount on.
    app: Any = None
    #: An existing ``socketio.AsyncServer`` to mount on.
    server: Any = None
    #: Path of the Socket.IO endpoint.
    path: str = "/socket.io"
    #: Path of the browser client, with its source map `client.js.map` and its types `client.d.ts` beside it.
    #: None: it is not served. It is never served on your own `server`.
    client_path: str | None = "/chat-service/client.js"
    #: Origins from which browsers may connect: "https://chat.example.org", "https://*.example.org" for all
    #: subdomains, "*" for all. None: only the server's own origin.
    cors_allowed_origins: str | Sequence[str] | None = None
    #: Host names that requests may use: "chat.example.org", "*.example.org" for all subdomains. None: all.
    #: This prevents DNS rebinding, in which a page reaches the service through its own host name.
    allowed_hosts: str | Sequence[str] | None = None
    #: Time in seconds between two pings of the server.
    ping_interval: float = 25.0
    #: Maximum time in seconds for a client to answer a ping, or to read some of its backlog.
    ping_timeout: float = 20.0
    #: Maximum size in bytes of an incoming packet, and of all attachments of a message.
    max_message_size: int = 1_000_000
    #: Maximum number of values in an incoming packet: elements of arrays and members of objects, however
    #: deep; an empty array or object counts as two. The client is disconnected, as for a packet too large.
    max_message_values: int = 25_000
    #: Maximum number of bytes of events that wait for a client; beyond it the client is disconnected.
    #: Answers do not count.
    send_buffer_limit: int = 1024 * 1024
    #: Maximum size in bytes of a request's first line, which contains the query.
    max_request_line_size: int = 16 * 1024
    #: Maximum total size in bytes of a request's headers, including cookies and tokens.
    max_header_size: int = 16 * 1024
    #: Maximum number of events and disconnects of one client that are handled at a time; beyond it, reading
    #: from the client stops.
    max_waiting_events: int = 1000
    #: Maximum number of packets of one client that are handled before other clients have their turn.
    max_events_per_turn: int = 100
    #: Maximum time in seconds for the head of the first request on a new connection to arrive; on our own
    #: port.
    head_timeout: float = 30.0
    #: Maximum time in seconds for the body of a request to arrive.
    body_timeout: float = 30.0
    #: Maximum time in seconds for which a connection may be idle between two HTTP requests; on our own
    #: port.
    keep_alive_timeout: float = 75.0
    #: Maximum number of connections of this instance; further ones are refused with 503. None: as many as the
    #: limit of open files allows, less a tenth of it (32 to 1000) for other files.
    max_connections: int | None = None
    #: Maximum number of connections from one address (of IPv6: from one /64), on this instance; further ones
    #: are refused with 429. None: no limit, as behind a proxy that is not in `trusted_proxies`.
    max_connections_per_address: int | None = None
    #: Maximum number of connections of this instance whose login is not complete; further ones are refused
    #: with 503. None: no limit.
    max_pending_connections: int | None = 5_000
    #: Maximum number of such connections from one address; further ones are refused with 429. None: no limit.
    max_pending_connections_per_address: int | None = None
    #: Addresses and networks of your proxies, such as "10.0.0.0/8", and "unix" for Unix sockets. They
    #: are trusted to tell the addresses of clients. None: no proxy is, but `X-Forwarded-Proto` and `-Host`
    #: are read.
    trusted_proxies: Sequence[str] | None = None
    #: The header with the client's address: "x-forwarded-for" or "forwarded". The other one is ignored.
    forwarded_header: str = X_FORWARDED_FOR
    #: Name of the cookie that is the `fingerprint` of handshakes. None: it is the id of the socket.
    fingerprint_cookie: str | None = None
    #: Maximum time in seconds that a connection may be open without a namespace.
    connect_timeout: float = 45.0
    #: How packets are written: "json" or "msgpack". Clients must use the same.
    serializer: str = "json"
    #: Compress outgoing messages for clients that support it.
    compression: bool = False
    #: The Engine.IO transports that clients may use.
    transports: Sequence[str] = TRANSPORTS
    #: Lets the Socket.IO Admin UI connect: a mapping with "username" and "password". None: off.
    admin_ui: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        self.check_seconds(
            "ping_interval",
            "ping_timeout",
            "head_timeout",
            "body_timeout",
            "keep_alive_timeout",
            "connect_timeout",
        )
        self.check_count("a number of bytes", "max_message_size", "send_buffer_limit")
        self.check_count("a number", "max_message_values", "max_waiting_events", "max_events_per_turn")
        for name in CONNECTION_LIMITS:
            if getattr(self, name) is not None:
                self.check_count("None or a number", name)
        self.check_gate()
        self.check("serializer", self.serializer in SERIALIZERS, " or ".join(map(repr, SERIALIZERS)))
        self.check("compression", type(self.compression) is bool, "True or False")
        path: Any = self.path
        self.check("path", is_text(path) and bool(path.strip("/")), "a path")
        client: Any = self.client_path
        is_path = is_text(client) and bool(client.strip("/")) and client.strip("/") != path.strip("/")
        self.check("client_path", client is None or is_path, "another path, or None")
        allowed = self.transports
        self.check(
            "transports",
            isinstance(allowed, list | tuple)
            and bool(allowed)
            and all(name in TRANSPORTS for name in allowed),
            "a list of " + " and ".join(map(repr, TRANSPORTS)),
        )
        self.check("middleware", all(map(callable, self.middlewares)), "a function or a list of functions")
        self.check("app", self.app is None or callable(self.app), "an aiohttp or ASGI application")
        if self.admin_ui is not None and not _is_login(self.admin_ui):
            # Without the value, which is a secret.
            raise self.error('expected {"username": …, "password": …}, both not empty', "admin_ui")
        if self.admin_ui is not None and self.server is not None:
            raise self.error("instrument your own server yourself", "admin_ui")
        if self.app is not None and self.server is not None:
            raise self.error("give app or server, not both")

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

    @property
    def middlewares(self) -> tuple[Middleware, ...]:
        """The middleware as a tuple."""
        given = self.middleware
        if isinstance(given, list | tuple):
            return tuple(cast(Sequence[Middleware], given))
        return (cast(Middleware, given),)


def _is_login(value: Any) -> bool:
    is_mapping = isinstance(value, Mapping) and set(value) == {"username", "password"}
    return is_mapping and all(map(is_text, value.values()))
