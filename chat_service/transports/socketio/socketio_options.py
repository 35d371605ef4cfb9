"""Options of the Socket.IO transport (server-api.md, ``transport_options``)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from chat_service.option_group import is_text
from chat_service.transports.network.connection_options import HttpOptions

#: Called with the ``Handshake`` of a connecting socket. Raising refuses the connection.
Middleware = Callable[..., Any]

TRANSPORTS = ("polling", "websocket")
SERIALIZERS = ("json", "msgpack")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SocketIOOptions(HttpOptions):
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
    #: Time in seconds between two pings of the server.
    ping_interval: float = 25.0
    #: Maximum time in seconds for a client to answer a ping, or to read some of its backlog.
    ping_timeout: float = 20.0
    #: Maximum number of events and disconnects of one client that are handled at a time; beyond it, reading
    #: from the client stops.
    max_waiting_events: int = 1000
    #: Maximum number of packets of one client that are handled before other clients have their turn.
    max_events_per_turn: int = 100
    #: Maximum time in seconds for the body of a request to arrive.
    body_timeout: float = 30.0
    #: Maximum time in seconds for which a connection may be idle between two HTTP requests; on our own
    #: port.
    keep_alive_timeout: float = 75.0
    #: How packets are written: "json" or "msgpack". Clients must use the same.
    serializer: str = "json"
    #: The Engine.IO transports that clients may use.
    transports: Sequence[str] = TRANSPORTS
    #: Lets the Socket.IO Admin UI connect: a mapping with "username" and "password". None: off.
    admin_ui: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        self.check_connections()
        self.check_http()
        self.check_seconds("ping_interval", "ping_timeout", "body_timeout", "keep_alive_timeout")
        self.check_count("a number", "max_waiting_events", "max_events_per_turn")
        self.check("serializer", self.serializer in SERIALIZERS, " or ".join(map(repr, SERIALIZERS)))
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
    def middlewares(self) -> tuple[Middleware, ...]:
        """The middleware as a tuple."""
        given = self.middleware
        if isinstance(given, list | tuple):
            return tuple(cast(Sequence[Middleware], given))
        return (cast(Middleware, given),)


def _is_login(value: Any) -> bool:
    is_mapping = isinstance(value, Mapping) and set(value) == {"username", "password"}
    return is_mapping and all(map(is_text, value.values()))
