"""The Socket.IO server that the transport owns: what a client sends that cannot be cuts it off."""

import logging
from typing import Any

import socketio
from aiohttp.http_exceptions import HttpProcessingError
from socketio.exceptions import ConnectionRefusedError
from socketio.packet import CONNECT, CONNECT_ERROR

from chat_service.concurrency import eager
from chat_service.errors import shorten
from chat_service.transports.socketio.channels import Connection
from chat_service.transports.socketio.engine import EngineSocket
from chat_service.transports.socketio.engine_server import EngineServer
from chat_service.transports.socketio.events import EventReader
from chat_service.transports.socketio.front import Opening
from chat_service.transports.socketio.handshakes import Environs
from chat_service.transports.socketio.manager import Manager
from chat_service.transports.socketio.namespace import ServiceNamespace
from chat_service.transports.socketio.origins import AllowedOrigins
from chat_service.transports.socketio.packets import packet_class
from chat_service.transports.socketio.request_head import HeadLimits
from chat_service.transports.socketio.socketio_options import SocketIOOptions
from chat_service.types import SocketId

logger = logging.getLogger("chat_service")


class SocketIOServer(socketio.AsyncServer):  # type: ignore[misc]
    """A python-socketio server over ``EngineServer``, with one namespace that it serves itself."""

    # Attribute of the stock class, which has no types.
    manager_initialized: bool

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(client_manager=Manager(), **kwargs)
        self.environ = Environs()
        self.eio.is_used = self.has_namespaces
        self.eio.on_opening = self._on_opening
        self._service: ServiceNamespace | None = None

    def _engineio_server_class(self) -> Any:
        return EngineServer

    def _on_opening(self, sid: str, opening: Opening) -> None:
        """As ``_handle_eio_connect``."""
        if not self.manager_initialized:
            self.manager_initialized = True
            self.manager.initialize()
        self.environ[sid] = opening

    def serve(self, namespace: ServiceNamespace) -> None:
        """Serve this namespace, until ``stop_serving``."""
        self.register_namespace(namespace)
        self._service = namespace
        # Packets of msgpack are binary, so no text is an event.
        self._reader = EventReader(namespace.namespace) if self.packet_class.uses_binary_events else None

    def stop_serving(self) -> None:
        """Forget the namespace that is served."""
        if self._service is not None:
            self.namespace_handlers.pop(self._service.namespace, None)
            self._service = None

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        if eio_sid not in self.environ:
            # What a client sends after the end of its session.
            return
        try:
            await super()._handle_eio_message(eio_sid, data)
        except Exception as error:
            # Handlers run in tasks of their own; what fails here is the packet.
            text = shorten(f"{type(error).__name__}: {error}")
            logger.info("bad packet of connection %s, which is closed: %s", eio_sid, text)
            self._binary_packet.pop(eio_sid, None)
            session = self.eio.sockets.get(eio_sid)
            if session is not None:
                await session.close()

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        service = self._service
        name = namespace or "/"
        if service is None or name != service.namespace or self.manager.sid_from_eio_sid(eio_sid, name):
            # Handlers of the application may need a task.
            await eager.in_task()
            await super()._handle_connect(eio_sid, namespace, data)
            return
        session = self.eio.sockets.get(eio_sid)
        socket_id = SocketId(await self.manager.pre_connect(eio_sid, name))
        try:
            # For the library an empty auth object is none.
            connection = await service.admit(socket_id, session, self.environ.opening(eio_sid), data or None)
        except ConnectionRefusedError as error:
            refusal = self.packet_class(CONNECT_ERROR, data=error.error_args, namespace=name)
            await self._send_packet(eio_sid, refusal)
            await self.manager.disconnect(socket_id, name, ignore_queue=True)
            return
        self._use_session(service, connection, session)
        reply = self.packet_class(CONNECT, {"sid": socket_id}, namespace=name)
        await self._send_packet(eio_sid, reply)
        await self.manager.connect(socket_id, name)
        service.greet(socket_id)

    def _use_session(self, service: ServiceNamespace, connection: Connection, session: EngineSocket) -> None:
        """Let the frames of a socket go to the WebSocket of its session, now or when it has one."""
        channels, reader, attachments = service.channels, self._reader, self._binary_packet

        def take_event(text: str) -> bool:
            found = reader.read(text) if reader is not None and session.sid not in attachments else None
            if found is None:
                return False
            data, number = found
            service.serve(connection, data[0], data[1:], number)
            return True

        session.take_event = take_event
        session.on_connection = lambda sink: channels.set_sink(connection, sink)
        if session.connection is not None:
            channels.set_sink(connection, session.connection)

    async def _handle_event(
        self, eio_sid: str, namespace: str | None, id: int | None, data: list[Any]
    ) -> None:
        service = self._service
        name = namespace or "/"
        if service is None or name != service.namespace:
            await super()._handle_event(eio_sid, namespace, id, data)
            return
        socket_id = self.manager.sid_from_eio_sid(eio_sid, name)
        connection = service.channels.get(socket_id) if socket_id is not None else None
        if connection is not None and self.manager.is_connected(socket_id, name):
            service.serve(connection, data[0], data[1:], id)

    async def _handle_ack(self, eio_sid: str, namespace: str | None, id: int, data: list[Any]) -> None:
        # The callback of the application may need one.
        await eager.in_task()
        await super()._handle_ack(eio_sid, namespace, id, data)

    async def _handle_disconnect(self, eio_sid: str, namespace: str | None, reason: Any = None) -> None:
        service = self._service
        name = namespace or "/"
        if service is None or name != service.namespace:
            await eager.in_task()
            await super()._handle_disconnect(eio_sid, namespace, reason)
            return
        socket_id = self.manager.sid_from_eio_sid(eio_sid, name)
        if not self.manager.is_connected(socket_id, name):
            return
        session = self.eio.sockets.get(eio_sid)
        if session is not None:
            session.take_event = session.on_connection = None
        self._binary_packet.pop(eio_sid, None)
        await self.manager.disconnect(socket_id, name, ignore_queue=True)
        service.disconnected(SocketId(socket_id), str(reason or self.reason.CLIENT_DISCONNECT))

    def has_namespaces(self, eio_sid: str) -> bool:
        """Whether a connection is still in any namespace."""
        namespaces = self.manager.get_namespaces()
        return any(self.manager.sid_from_eio_sid(eio_sid, name) is not None for name in namespaces)


class _NoClientFaults(logging.Filter):
    """Drops what the HTTP server logs, with a traceback, of requests that are no HTTP."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError)


_no_client_faults = _NoClientFaults()


def http_logger() -> logging.Logger:
    """The logger of our own HTTP server."""
    http = logging.getLogger("chat_service.transport.http")
    http.addFilter(_no_client_faults)
    return http


def make_server(options: SocketIOOptions, async_mode: str, max_attachments: int = 10) -> SocketIOServer:
    """A server for the transport's options. ``async_mode``: "aiohttp" or "asgi"."""
    # Below errors the libraries log every packet with its content, and warn of what clients do wrong.
    quiet = logging.getLogger("chat_service.transport")
    if quiet.level == logging.NOTSET:
        quiet.setLevel(logging.ERROR)
    return SocketIOServer(
        async_mode=async_mode,
        serializer=packet_class(options.serializer, options.max_message_size, max_attachments),
        origins=AllowedOrigins(options.cors_allowed_origins),
        limits=HeadLimits(options.max_request_line_size, options.max_header_size),
        ping_interval=options.ping_interval,
        ping_timeout=options.ping_timeout,
        max_http_buffer_size=options.max_message_size,
        http_compression=options.compression,
        transports=list(options.transports),
        allow_upgrades="websocket" in options.transports,
        send_buffer_limit=options.send_buffer_limit,
        logger=quiet,
        engineio_logger=quiet,
    )
