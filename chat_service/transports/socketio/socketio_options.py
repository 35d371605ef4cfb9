"""Options of the Socket.IO transport (server-api.md, ``transport_options``)."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

from chat_service.errors import ConfigurationError
from chat_service.options import refuse_unknown
from chat_service.redaction import repr_of
from chat_service.transports.socketio.origins import AllowedOrigins

#: Called with the ``Handshake`` of a connecting socket; what it raises refuses the connection.
Middleware = Callable[..., Any]

TRANSPORTS = ("polling", "websocket")
SERIALIZERS = ("json", "msgpack")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SocketIOOptions:
    """Raises ``ConfigurationError`` for a value that cannot work."""

    #: One callable or several, plain or coroutine functions.
    middleware: Middleware | Sequence[Middleware] = ()
    #: An ``aiohttp.web.Application`` or an ASGI application to mount on.
    app: Any = None
    #: A ``socketio.AsyncServer`` of the caller to mount on.
    server: Any = None
    #: Path of the Socket.IO endpoint.
    path: str = "/socket.io"
    #: Origins that browsers may connect from: "https://chat.example.org", "https://*.example.org" for all
    #: subdomains, "*" for all; the same origin alone when None.
    cors_allowed_origins: str | Sequence[str] | None = None
    #: Seconds between two pings of the server.
    ping_interval: float = 25.0
    #: Seconds that a client has to answer a ping, or to read some of what waits for it.
    ping_timeout: float = 20.0
    #: Bytes of one incoming packet, and of all attachments of a message, at most.
    max_message_size: int = 1_000_000
    #: Bytes of events that may wait for a client; past it the client is disconnected. Answers do not count.
    send_buffer_limit: int = 1024 * 1024
    #: Maximum bytes of a request's first line, which has the query.
    max_request_line_size: int = 16 * 1024
    #: Maximum bytes of a request's headers together, cookies and tokens included.
    max_header_size: int = 16 * 1024
    #: Maximum number of events of one client that are handled at a time; past it no more are read from it.
    max_waiting_events: int = 1000
    #: Maximum number of packets of one client that are handled before others have their turn.
    max_events_per_turn: int = 100
    #: Seconds in which the head of the first request on a new connection has to come; at our own port.
    head_timeout: float = 30.0
    #: Seconds in which the body of a request has to come.
    body_timeout: float = 30.0
    #: Seconds that a connection may be idle between two requests of HTTP; at our own port.
    keep_alive_timeout: float = 75.0
    #: How packets are written: "json" or "msgpack". Clients must use the same.
    serializer: str = "json"
    #: Compress what is sent, where a client can read it.
    compression: bool = False
    #: The Engine.IO transports that clients may use.
    transports: Sequence[str] = TRANSPORTS
    #: Lets the Socket.IO Admin UI connect: a mapping with "username" and "password". Off when None.
    admin_ui: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return repr_of(self)

    def __post_init__(self) -> None:
        for name in ("ping_interval", "ping_timeout", "head_timeout", "body_timeout", "keep_alive_timeout"):
            value = getattr(self, name)
            self._check(name, _is_number(value) and value > 0, "seconds, more than 0")
        sizes = ("max_message_size", "send_buffer_limit", "max_request_line_size", "max_header_size")
        for name in sizes:
            size = getattr(self, name)
            self._check(name, type(size) is int and size > 0, "a number of bytes, more than 0")
        for name in ("max_waiting_events", "max_events_per_turn"):
            number = getattr(self, name)
            self._check(name, type(number) is int and number > 0, "a number, more than 0")
        self._check("serializer", self.serializer in SERIALIZERS, " or ".join(map(repr, SERIALIZERS)))
        self._check("compression", type(self.compression) is bool, "True or False")
        path: Any = self.path
        self._check("path", _is_text(path) and bool(path.strip("/")), "a path")
        allowed = self.transports
        self._check(
            "transports",
            isinstance(allowed, list | tuple)
            and bool(allowed)
            and all(name in TRANSPORTS for name in allowed),
            "a list of " + " and ".join(map(repr, TRANSPORTS)),
        )
        origins = self.cors_allowed_origins
        self._check(
            "cors_allowed_origins",
            origins is None
            or _is_text(origins)
            # For the library an empty list means to let all origins in.
            or (isinstance(origins, list | tuple) and bool(origins) and all(map(_is_text, origins))),
            'an origin, a list of origins, "*" or None',
        )
        try:
            AllowedOrigins(origins)
        except ValueError as error:
            raise ConfigurationError(f"transport_options cors_allowed_origins: {error}") from None
        self._check("middleware", all(map(callable, self.middlewares)), "a function or a list of functions")
        self._check("app", self.app is None or callable(self.app), "an aiohttp or ASGI application")
        if self.admin_ui is not None and not _is_login(self.admin_ui):
            # Without the value, which is a secret.
            raise ConfigurationError(
                'transport_options admin_ui: expected {"username": …, "password": …}, both not empty'
            )
        if self.admin_ui is not None and self.server is not None:
            raise ConfigurationError("transport_options admin_ui: instrument your own server yourself")
        if self.app is not None and self.server is not None:
            raise ConfigurationError("transport_options: give app or server, not both")

    def _check(self, name: str, is_good: bool, expected: str) -> None:
        if not is_good:
            value = getattr(self, name)
            raise ConfigurationError(f"transport_options {name}: expected {expected}, got {value!r}")

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> "SocketIOOptions":
        """Make options of a mapping; an unknown name raises ``ConfigurationError``."""
        refuse_unknown("transport_options", options, [item.name for item in fields(cls)])
        return cls(**options)

    @property
    def middlewares(self) -> tuple[Middleware, ...]:
        """The middleware as a tuple."""
        given = self.middleware
        if isinstance(given, list | tuple):
            return tuple(cast(Sequence[Middleware], given))
        return (cast(Middleware, given),)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_login(value: Any) -> bool:
    is_mapping = isinstance(value, Mapping) and set(value) == {"username", "password"}
    return is_mapping and all(map(_is_text, value.values()))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
