"""The ``Transport`` over Socket.IO."""

import logging
import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import web
from socketio import AsyncServer

from chat_service.concurrency.running import Background
from chat_service.contracts.transport import (
    Handshake,
    LifeCycleStep,
    Transport,
    TransportHandler,
    TransportStatistics,
)
from chat_service.errors import ConfigurationError
from chat_service.open_files import accept_failures
from chat_service.transports.borrowed import forget_namespace, serves
from chat_service.transports.network.admissions import Admissions
from chat_service.transports.network.aiohttp_carrier import add_door, add_pages
from chat_service.transports.network.asgi_carrier import serve_door, serve_page
from chat_service.transports.network.doors import Door, paths_of
from chat_service.transports.network.front import OwnPort, entrance_of_door
from chat_service.transports.network.gate import Answer
from chat_service.transports.network.opening import Opening
from chat_service.transports.socketio.admin import AdminUI
from chat_service.transports.socketio.asgi import HEADERS, AsgiApp, welcome
from chat_service.transports.socketio.encoding import Encoder
from chat_service.transports.socketio.engine.carriers import entrance_of_hub
from chat_service.transports.socketio.given_server import LibrarySessions
from chat_service.transports.socketio.namespace import NAME, ServiceNamespace
from chat_service.transports.socketio.neighbours import AddRoutes, ClientFiles, Neighbours, Serve
from chat_service.transports.socketio.server import Dispatcher, make_server
from chat_service.transports.socketio.socketio_channels import SocketIOChannels
from chat_service.transports.socketio.socketio_options import SocketIOOptions
from chat_service.types import Channel, SocketId

logger = logging.getLogger("chat_service")


class SocketIOTransport:
    """Sockets of one namespace, on the transport's own server or on a caller's. See ``Transport``."""

    name = NAME

    def __init__(
        self,
        *,
        host: str | None,
        port: int,
        namespace: str,
        options: Mapping[str, Any] | None = None,
        expose_internal_errors: bool = False,
        max_attachments: int = 10,
        use_raw_error_objects: bool = False,
        login_timeout: float | None = None,
    ) -> None:
        self._host = host
        self._port = port
        #: Listening sockets to use instead of an address.
        self._sockets: Sequence[socket.socket] = ()
        self._name = namespace
        self._expose_internal_errors = expose_internal_errors
        self._login_timeout = login_timeout
        self._use_raw_error_objects = use_raw_error_objects
        self.options = SocketIOOptions.from_mapping(options or {})
        self._channels = SocketIOChannels()
        self._background = Background()
        self._namespace: ServiceNamespace | None = None
        self._own_port: OwnPort | None = None
        self._admin: AdminUI | None = None
        self._steps: tuple[LifeCycleStep, LifeCycleStep] | None = None
        app, given = self.options.app, self.options.server
        if given is not None and not isinstance(given, AsyncServer):
            raise ConfigurationError(
                f"transport_options server: expected a socketio.AsyncServer, got {given!r}"
            )
        self._is_asgi = app is not None and not isinstance(app, web.Application)
        #: The server, and whether it belongs to the caller.
        self._server: Any = given
        self._is_given = given is not None
        #: On our own server: decides who handles incoming packets.
        self._dispatcher: Dispatcher | None = None
        #: On a caller's server: its sessions.
        self._library: LibrarySessions | None = None
        if given is not None:
            self._library = LibrarySessions(given, self.options.send_buffer_limit, self._background)
        #: On a caller's server: limits our sockets instead of the connections.
        self._admissions = Admissions(self.options.connection_limits)
        #: Whether acks may contain ``EncodedMessages``. A caller's server encodes acks itself and does not
        #: support them.
        self.takes_encoded = given is None and self.options.serializer == "json"
        #: Maximum number of binary values in a packet; None for msgpack, which does not use attachments.
        self.max_attachments = (
            max_attachments
            if (given.packet_class.uses_binary_events if given else self.options.serializer == "json")
            else None
        )
        self._max_attachments = max_attachments
        self._neighbours = Neighbours(self.options.path, app, is_given=given is not None)
        client_path = self.options.client_path
        self._files = ClientFiles(client_path) if client_path is not None else None
        if isinstance(app, web.Application):
            self._use_server("aiohttp").attach(app, self.options.path.strip("/"))
            self._add_files(app)

    def _add_files(self, app: web.Application) -> None:
        if self._files is not None:
            add_pages(app, self._files.names, self._answer_file)

    def _answer_file(self, opening: Opening, path: str) -> Answer:
        """The answer to a request for a file of the browser client."""
        if self._files is None:
            raise LookupError(path)
        return self._files.answer(self.get_server().eio.hub, opening, path)

    def add_door(self, door: Door) -> None:
        """Serve the WebSockets of a door, too, on the same port or application. Raises
        ``ConfigurationError``.
        """
        self._neighbours.add_door(door)

    def add_site(self, path: str, add_routes: AddRoutes, serve: Serve) -> None:
        """See ``TakesSites``."""
        self._neighbours.add_site(path, add_routes, serve)

    def __repr__(self) -> str:
        return f"<SocketIOTransport {self._name} sockets={len(self._channels.socket_ids())}>"

    # Life cycle

    def attach(self, start: LifeCycleStep, close: LifeCycleStep) -> None:
        """Let the application on which the transport is mounted start and close the service."""
        self._steps = (start, close)
        app = self.options.app
        if isinstance(app, web.Application):

            async def closing(_: web.Application) -> AsyncIterator[None]:
                # Also runs if another part of the application failed to start.
                yield
                await close()

            app.cleanup_ctx.append(closing)
            app.on_startup.append(lambda _: start())
            app.on_shutdown.append(lambda _: close())

    def asgi_app(self, other: Any = None) -> AsgiApp:
        """An ASGI application that serves the transport and passes everything else to another one.

        ``other``: another application; if None, the one in ``transport_options["app"]``. Its lifespan
        starts and closes the service and the other application.
        """
        if isinstance(self.options.app, web.Application):
            raise ConfigurationError("the service is mounted on an aiohttp application, which is not ASGI")
        if self._namespace is not None or self._steps is None:
            raise ConfigurationError("an ASGI application must be made before the service is started")
        self._is_asgi = True
        server = self._server if self._is_given else self._use_server("asgi")
        other_app = other if other is not None else self.options.app
        return AsgiApp(
            server.handle_request,
            other_app,
            self.options.path,
            *self._steps,
            is_started=lambda: self._namespace is not None,
            page=welcome(self._name),
            more={
                **{
                    path: partial(serve_page, self._answer_file, path)
                    for path in (self._files.names if self._files is not None and not self._is_given else ())
                },
                **{door.path: partial(serve_door, door) for door in self._neighbours.doors},
            },
            sites=self._neighbours.asgi_sites,
        )

    def _use_server(self, async_mode: str) -> Any:
        if self._server is None or self._server.eio.async_mode != async_mode:
            self._server, self._dispatcher = make_server(
                self.options, async_mode, self._name, self._max_attachments
            )
        return self._server

    def listen_at(
        self, *, host: str | None = None, port: int | None = None, sockets: Sequence[socket.socket] = ()
    ) -> None:
        """See ``ChatService.listen_at``."""
        if self._is_mounted:
            raise ConfigurationError(
                "the service is mounted on an application, which has an address of its own"
            )
        self._host = self._host if host is None else host
        self._port = self._port if port is None else port
        self._sockets = sockets

    async def start(self, handler: TransportHandler) -> None:
        server = self.get_server()
        for door in self._neighbours.doors:
            door.use_gate(server.eio.hub)
        if serves(server, self._name):
            raise ConfigurationError(f"the server has handlers of the namespace {self._name} already")
        outbox = None if self._is_given else server.eio.hub.outbox
        self._channels.use(Encoder(self._name, server.packet_class), outbox)
        if self.options.admin_ui is not None:
            self._admin = AdminUI(
                server, self.options.admin_ui, (self._name,), self.statistics, self._background
            )
            self._admin.start()
        self._namespace = ServiceNamespace(
            self._name,
            self._channels,
            self.options.middlewares,
            handler,
            self._expose_internal_errors,
            self._use_raw_error_objects,
            find_session=self._library.find if self._library is not None else server.eio.sockets.get,
            is_own=not self._is_given,
            proxies=self.options.proxies if self._is_given else None,
            admissions=self._admissions if self._is_given else None,
            middleware_timeout=self._login_timeout,
            fingerprint_cookie=self.options.fingerprint_cookie,
        )
        if self._dispatcher is not None:
            self._dispatcher.serve(self._namespace)
        else:
            server.register_namespace(self._namespace)
        if not self._is_mounted:
            app = web.Application()
            if "/" not in self._neighbours.sites:
                app.router.add_get("/", self._welcome)
            server.attach(app, self.options.path.strip("/"))
            self._add_files(app)
            for add_routes in self._neighbours.sites.values():
                add_routes(app)
            hub, path = server.eio.hub, f"/{self.options.path.strip('/')}"
            entrances = dict.fromkeys((path, f"{path}/"), entrance_of_hub(hub))
            for door in self._neighbours.doors:
                add_door(app, door)
                entrances |= dict.fromkeys(paths_of(door), entrance_of_door(door))
            self._own_port = OwnPort(
                app,
                hub.admissions,
                entrances,
                head_timeout=self.options.head_timeout,
                keep_alive_timeout=self.options.keep_alive_timeout,
                max_line=self.options.max_request_line_size,
                max_headers=self.options.max_header_size,
            )
            await self._own_port.start()

    async def _welcome(self, _: web.Request) -> web.Response:
        return web.Response(body=welcome(self._name), headers=HEADERS)

    async def listen(self) -> None:
        if self._namespace is None:
            raise ConfigurationError("the transport was not started")
        if self._own_port is not None:
            if self._sockets:
                await self._own_port.listen_at(self._sockets)
            else:
                await self._own_port.listen(self._host, self._port)
        self._set_open(True)

    async def stop_listening(self) -> None:
        # Our own port stays open, because polling clients reconnect with every poll. This also applies to
        # sockets on which other processes may listen: they serve the clients that connect now.
        if self._sockets and self._own_port is not None:
            await self._own_port.stop_listening()
        self._set_open(False)

    def _set_open(self, is_open: bool) -> None:
        if self._namespace is not None:
            self._namespace.is_open = is_open
            if not self._is_given:
                self.get_server().eio.hub.is_open = is_open

    async def close(self) -> None:
        await self.stop_listening()
        namespace, self._namespace = self._namespace, None
        if namespace is None:
            return
        server = self.get_server()
        if self._admin is not None:
            await self._admin.close()
        if self._dispatcher is not None:
            # An ASGI server closes its connections before it notifies the application.
            await server.eio.hub.close(lets_fetch=not self._is_asgi)
            self._dispatcher.stop_serving()
        else:
            # The connections also belong to other namespaces.
            for socket_id in tuple(self._channels.socket_ids()):
                await server.disconnect(socket_id, self._name)
            forget_namespace(server, self._name)
        if self._own_port is not None:
            own, self._own_port = self._own_port, None
            await own.close()

    @property
    def _is_mounted(self) -> bool:
        return self._is_given or self._is_asgi or self.options.app is not None

    @property
    def port(self) -> int | None:
        return None if self.address is None else self.address[1]

    @property
    def address(self) -> tuple[str, int] | None:
        """The listening address and port; the first of several, None if mounted."""
        if self._own_port is None:
            return None
        found = [each for each in self._own_port.addresses if isinstance(each, tuple)]
        return (str(found[0][0]), int(found[0][1])) if found else None

    # Sockets

    def socket_ids(self) -> Collection[SocketId]:
        return self._channels.socket_ids()

    def is_connected(self, socket_id: SocketId) -> bool:
        return self._channels.is_connected(socket_id)

    def get_handshake(self, socket_id: SocketId) -> Handshake:
        return self._channels.handshake(socket_id)

    def get_server(self) -> Any:
        """The ``socketio.AsyncServer``: the caller's, or the transport's own."""
        return self._server if self._is_given else self._use_server("asgi" if self._is_asgi else "aiohttp")

    def get_socket(self, socket_id: SocketId) -> Any:
        """The Engine.IO session of a socket of this instance, otherwise None."""
        if not self.is_connected(socket_id):
            return None
        server = self.get_server()
        return server.eio.sockets.get(server.manager.eio_sid_from_sid(socket_id, self._name))

    async def drained(self, socket_id: SocketId) -> None:
        """Wait until the client has read enough for a large answer to follow."""
        await self._channels.drained(socket_id)

    @property
    def admissions(self) -> Admissions:
        """The current connections."""
        found: Admissions = self._admissions if self._is_given else self.get_server().eio.hub.admissions
        return found

    def statistics(self) -> TransportStatistics:
        """Figures about what was sent so far."""
        admissions = self.admissions
        return TransportStatistics(
            accept_failures=accept_failures.count,
            connections=len(admissions),
            pending_connections=admissions.pending,
            refused_connections=admissions.refused,
            broadcasts=self._channels.broadcasts,
            deliveries=self._channels.deliveries,
            send_buffer_bytes=self._channels.unsent(),
            background_failures=self._background.failures,
            slow_consumers=(self._library or self.get_server().eio.hub).slow_consumers,
        )

    def emit(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        self._channels.emit(socket_id, event, args)

    def broadcast(
        self, channel: Channel, event: str, args: Sequence[Any], exclude: Collection[SocketId] = ()
    ) -> None:
        self._channels.broadcast(channel, event, args, exclude)

    def join_channel(self, socket_id: SocketId, channel: Channel) -> None:
        self._channels.join(socket_id, channel)

    def leave_channel(self, socket_id: SocketId, channel: Channel) -> None:
        self._channels.leave(socket_id, channel)

    async def disconnect(self, socket_id: SocketId, *, may_return: bool = False) -> None:
        session = self.get_socket(socket_id)
        if session is None:
            return
        if may_return:
            # Clients reconnect after a lost connection, but not after the server has closed the namespace.
            await session.close(wait=False)
            return
        server = self.get_server()
        await server.disconnect(socket_id, self._name)
        # A client that only uses this namespace no longer needs its connection.
        if self._dispatcher is not None and not self._dispatcher.has_namespaces(session.sid):
            session.finish()


def _conforms(transport: SocketIOTransport) -> Transport:
    return transport
