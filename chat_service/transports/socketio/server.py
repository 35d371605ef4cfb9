"""The transport's own ``socketio.AsyncServer``: the library's class on top of our Engine.IO.

Events of the service's namespace bypass the library. It handles everything else: connects, disconnects,
acks, and other namespaces of the application.
"""

import logging
from functools import partial
from typing import Any

import socketio
from socketio.packet import BINARY_EVENT, CONNECT, CONNECT_ERROR, DISCONNECT, EVENT

from chat_service.concurrency import eager
from chat_service.errors import shorten
from chat_service.transports.borrowed import Manager, forget_namespace, replace_engine, serves
from chat_service.transports.network.admissions import Admissions
from chat_service.transports.network.channels import Connection
from chat_service.transports.network.opening import HeadLimits
from chat_service.transports.network.origins import AllowedHosts, AllowedOrigins
from chat_service.transports.socketio.encoding import EventReader
from chat_service.transports.socketio.engine.facade import Engine
from chat_service.transports.socketio.engine.hub import Hub
from chat_service.transports.socketio.engine.peer import Peer
from chat_service.transports.socketio.namespace import Environs, ServiceNamespace
from chat_service.transports.socketio.packets import packet_class
from chat_service.transports.socketio.socketio_options import SocketIOOptions
from chat_service.types import SocketId

logger = logging.getLogger("chat_service")

#: The error for a client that connects to an unknown namespace.
INVALID_NAMESPACE = {"message": "Invalid namespace"}


class Dispatcher:
    """Decides who handles an incoming packet: the service's namespace, or the library."""

    def __init__(self, server: Any, engine: Engine) -> None:
        self._server = server
        self._engine = engine
        self._hub = engine.hub
        self._service: ServiceNamespace | None = None
        self._reader: EventReader | None = None
        #: Packets of the service's namespace, and message numbers for the library, whose binary values have
        #: not all arrived.
        self._announced: dict[Peer, Any] = {}
        self._hub.use(self._on_connect, self._on_message, self._on_end)
        self._hub.is_used = self.has_namespaces

    def __repr__(self) -> str:
        return f"<Dispatcher announced={len(self._announced)}>"

    @property
    def announced(self) -> int:
        """Clients whose binary values have not all arrived."""
        return len(self._announced)

    def serve(self, namespace: ServiceNamespace) -> None:
        """Serve this namespace until ``stop_serving``."""
        self._server.register_namespace(namespace)
        self._service = namespace
        packet = self._server.packet_class
        # Packets of msgpack are binary, so a text is never an event.
        is_text = packet.uses_binary_events
        self._reader = EventReader(namespace.namespace, packet.max_values) if is_text else None

    def stop_serving(self) -> None:
        """Stop serving the namespace."""
        if self._service is not None:
            forget_namespace(self._server, self._service.namespace)
            self._service = None

    def has_namespaces(self, sid: str) -> bool:
        """Whether a connection is in any namespace."""
        manager = self._server.manager
        return any(manager.sid_from_eio_sid(sid, name) is not None for name in manager.get_namespaces())

    # Called by the hub

    async def _on_connect(self, peer: Peer) -> None:
        await self._engine.trigger("connect", peer.sid, peer.opening)

    async def _on_end(self, peer: Peer, reason: str) -> None:
        self._announced.pop(peer, None)
        if self._is_elsewhere(peer.sid):
            # Handlers of the application may need a task.
            await eager.in_task()
        try:
            await self._engine.trigger("disconnect", peer.sid, reason)
        except Exception:
            logger.exception("a disconnect handler failed")

    def _is_elsewhere(self, sid: str) -> bool:
        """Whether a connection is in a namespace of the application."""
        own = self._service.namespace if self._service is not None else None
        manager = self._server.manager
        return any(
            name != own and manager.sid_from_eio_sid(sid, name) is not None
            for name in manager.get_namespaces()
        )

    async def _on_message(self, peer: Peer, data: str | bytes) -> None:
        try:
            await self._dispatch(peer, data)
        except Exception as error:
            # Handlers run in their own tasks, so an exception here means a bad packet.
            text = shorten(f"{type(error).__name__}: {error}")
            logger.info("closing connection %s because of a bad packet: %s", peer.sid, text)
            raise ValueError(text) from None

    async def _dispatch(self, peer: Peer, data: str | bytes) -> None:
        announced = self._announced.get(peer)
        if announced is None:
            await self._take(peer, data)
        elif isinstance(announced, int):
            if announced > 1:
                self._announced[peer] = announced - 1
            else:
                del self._announced[peer]
            await self._to_library(peer, data)
        elif announced.add_attachment(data):
            del self._announced[peer]
            self._serve(peer, announced)

    async def _take(self, peer: Peer, data: str | bytes) -> None:
        """Handle the first part of a packet."""
        if not data:
            raise ValueError("an empty packet")
        packet = self._server.packet_class(encoded_packet=data)
        kind, name = packet.packet_type, packet.namespace or "/"
        service = self._service
        is_ours = service is not None and service.namespace == name
        if kind == CONNECT:
            await self._connect(peer, name, data, is_ours)
        elif kind == EVENT and is_ours:
            self._serve(peer, packet)
        elif kind == BINARY_EVENT and is_ours:
            if self._connection(peer, name) is None:
                raise ValueError("binary values for nobody")
            self._announced[peer] = packet
        else:
            if not (kind == DISCONNECT and is_ours):
                await eager.in_task()
            await self._to_library(peer, data)
            if packet.attachment_count:
                self._announced[peer] = packet.attachment_count
            if kind == DISCONNECT and not peer.closed and not self.has_namespaces(peer.sid):
                self._hub.left_namespaces(peer)

    async def _to_library(self, peer: Peer, data: str | bytes) -> None:
        if peer.sid in self._server.environ:
            await self._engine.trigger("message", peer.sid, data)

    # The service's namespace

    async def _connect(self, peer: Peer, name: str, data: str | bytes, is_ours: bool) -> None:
        server = self._server
        if not is_ours:
            if not serves(server, name):
                refusal = server.packet_class(CONNECT_ERROR, data=INVALID_NAMESPACE, namespace=name)
                self._engine.put(peer.sid, refusal.encode())
                return
            await eager.in_task()
        before = server.manager.sid_from_eio_sid(peer.sid, name)
        await self._to_library(peer, data)
        service = self._service
        if not is_ours and self.has_namespaces(peer.sid):
            # The application decides who may stay in its namespaces.
            self._hub.admissions.settle(peer)
        if service is None or not is_ours or before is not None:
            return
        connection = self._connection(peer, name)
        if connection is not None:
            self._use(peer, service, connection)
            service.greet(connection.socket_id, partial(self._hub.admissions.settle, peer))

    def _connection(self, peer: Peer, name: str) -> Connection | None:
        """The socket of a client on the service's namespace."""
        manager = self._server.manager
        socket_id = manager.sid_from_eio_sid(peer.sid, name)
        if socket_id is None or not manager.is_connected(socket_id, name) or self._service is None:
            return None
        return self._service.channels.get(SocketId(socket_id))

    def _serve(self, peer: Peer, packet: Any) -> None:
        service = self._service
        connection = self._connection(peer, packet.namespace or "/")
        if connection is not None and service is not None:
            service.serve(connection, packet.data[0], packet.data[1:], packet.id)

    def _use(self, peer: Peer, service: ServiceNamespace, connection: Connection) -> None:
        """Pass plain events of a socket directly to the service, and its frames directly to its WebSocket."""
        channels, reader, announced = service.channels, self._reader, self._announced

        def take_event(text: str) -> bool:
            found = reader.read(text) if reader is not None and peer not in announced else None
            if found is None:
                return False
            data, number = found
            service.serve(connection, data[0], data[1:], number)
            return True

        peer.take_event = take_event
        peer.on_sink = lambda sink: channels.set_sink(connection, sink)
        if peer.sink is not None:
            channels.set_sink(connection, peer.sink)


def make_server(
    options: SocketIOOptions, async_mode: str, namespace: str, max_attachments: int = 10
) -> tuple[Any, Dispatcher]:
    """Make a server for the transport's options. ``async_mode``: "aiohttp" or "asgi"."""
    # Below the level "error" the libraries log every packet with its content, and warn about client
    # mistakes.
    quiet = logging.getLogger("chat_service.transport")
    if quiet.level == logging.NOTSET:
        quiet.setLevel(logging.ERROR)
    server = socketio.AsyncServer(
        client_manager=Manager(),
        async_mode=async_mode,
        serializer=packet_class(
            options.serializer, options.max_message_size, options.max_message_values, max_attachments
        ),
        # Without any handlers, the library accepts everyone on the namespace "/".
        namespaces=[namespace],
        logger=quiet,
        engineio_logger=quiet,
        monitor_clients=False,
    )
    hub = Hub(
        origins=AllowedOrigins(options.cors_allowed_origins),
        hosts=AllowedHosts(options.allowed_hosts),
        limits=HeadLimits(options.max_request_line_size, options.max_header_size),
        transports=tuple(options.transports),
        ping_interval=options.ping_interval,
        ping_timeout=options.ping_timeout,
        max_message_size=options.max_message_size,
        send_buffer_limit=options.send_buffer_limit,
        max_waiting=options.max_waiting_events,
        per_turn=options.max_events_per_turn,
        body_timeout=options.body_timeout,
        connect_timeout=options.connect_timeout,
        compression=options.compression,
        admissions=Admissions(options.connection_limits),
        proxies=options.proxies,
    )
    engine = replace_engine(server, lambda handlers: Engine(hub, async_mode, handlers), Environs())
    return server, Dispatcher(server, engine)
