"""The Socket.IO server that the transport owns: what a client sends that cannot be cuts it off."""

import logging
from typing import Any

import socketio
from aiohttp.http_exceptions import HttpProcessingError

from chat_service.errors import shorten
from chat_service.transports.socketio.engine_server import EngineServer
from chat_service.transports.socketio.options import SocketIOOptions
from chat_service.transports.socketio.packets import packet_class

logger = logging.getLogger("chat_service")


class SocketIOServer(socketio.AsyncServer):  # type: ignore[misc]
    """A python-socketio server over ``EngineServer``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.eio.is_used = self.has_namespaces

    def _engineio_server_class(self) -> Any:
        return EngineServer

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


def make_server(options: SocketIOOptions, async_mode: str) -> SocketIOServer:
    """A server for the transport's options. ``async_mode``: "aiohttp" or "asgi"."""
    # Below errors the libraries log every packet with its content, and warn of what clients do wrong.
    quiet = logging.getLogger("chat_service.transport")
    if quiet.level == logging.NOTSET:
        quiet.setLevel(logging.ERROR)
    origins = options.cors_allowed_origins
    return SocketIOServer(
        async_mode=async_mode,
        serializer=packet_class(options.serializer, options.max_message_size),
        cors_allowed_origins=list(origins) if isinstance(origins, tuple) else origins,
        ping_interval=options.ping_interval,
        ping_timeout=options.ping_timeout,
        max_http_buffer_size=options.max_message_size,
        http_compression=options.compression,
        transports=list(options.transports),
        allow_upgrades="websocket" in options.transports,
        logger=quiet,
        engineio_logger=quiet,
    )
