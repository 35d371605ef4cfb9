"""The namespace of the service on a Socket.IO server: connects, events and disconnects of its sockets.

Sharp edges that are kept inside of here: a handler's tuple becomes the ack's values; a ``TypeError`` out of a
handler makes the library call it again with fewer arguments, so none gets out; clients can emit events that
are named like the library's own.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import socketio
from socketio.exceptions import ConnectionRefusedError as Refused

from chat_service.errors import ChatServiceError
from chat_service.hooks import call_hook
from chat_service.protocol.wire import ErrorEncoder
from chat_service.transports.base import Handshake, TransportHandler
from chat_service.transports.socketio.channels import Channels
from chat_service.transports.socketio.handshakes import read_handshake
from chat_service.transports.socketio.options import Middleware
from chat_service.types import SocketId

logger = logging.getLogger("chat_service")


class ServiceNamespace(socketio.AsyncNamespace):  # type: ignore[misc]
    """Passes what happens on the namespace on to a ``TransportHandler``."""

    def __init__(
        self,
        name: str,
        channels: Channels,
        middlewares: tuple[Middleware, ...],
        handler: TransportHandler,
        expose_internal_errors: bool,
    ) -> None:
        super().__init__(name)
        self._channels = channels
        self._middlewares = middlewares
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()
        #: Whether new sockets are let in.
        self.is_open = False
        self._raw_errors = ErrorEncoder(raw=True, expose_internal=expose_internal_errors)

    async def trigger_event(self, event: Any, *args: Any) -> Any:
        """Called by the server for everything; ``args`` starts with the socket id."""
        socket_id = SocketId(args[0])
        # What clients emit was decoded just now, so it cannot be the very environ of the connection.
        environ = self.server.environ.get(self._connection(socket_id))
        if event == "connect" and environ is not None and len(args) > 1 and args[1] is environ:
            return await self._connect(socket_id, *args[1:])
        if event == "disconnect" and not self.server.manager.is_connected(socket_id, self.namespace):
            self._disconnect(socket_id, str(args[1]) if len(args) > 1 else "")
            return None
        # The caller's own server may let an event without a name through.
        name = event if isinstance(event, str) else ""
        return tuple(await self._handler.on_event(socket_id, name, args[1:]))

    def _connection(self, socket_id: SocketId) -> Any:
        """The id of the Engine.IO session of a socket."""
        return self.server.manager.eio_sid_from_sid(socket_id, self.namespace)

    async def _connect(self, socket_id: SocketId, environ: dict[str, Any], auth: Any = None) -> None:
        handshake = read_handshake(environ, auth)
        try:
            if not self.is_open:
                raise Refused("the service does not accept connections now")
            await self._run_middlewares(handshake)
            session = self.server.eio.sockets.get(self._connection(socket_id))
            if session is None or session.closing or session.closed:
                # It went away meanwhile, and nobody would tell of its end.
                raise Refused("the connection is closed")
        except TypeError as error:
            # The library would call again, as for a handler without the auth argument.
            raise Refused(str(error)) from error
        self._channels.add(socket_id, handshake)
        self._start(self._greet(socket_id))

    async def _run_middlewares(self, handshake: Handshake) -> None:
        for middleware in self._middlewares:
            try:
                await call_hook(middleware, handshake)
            except Refused:
                raise
            except ChatServiceError as error:
                raw = self._raw_errors.encode(error, "a middleware")
                raise Refused(str(error), {"code": raw["code"], "args": raw["args"]}) from error
            except ConnectionRefusedError as error:
                raise Refused(str(error)) from error
            except Exception as error:
                raise Refused(str(self._raw_errors.public_error(error, "a middleware"))) from error

    async def _greet(self, socket_id: SocketId) -> None:
        """Hand the socket over as soon as the client knows that it is connected."""
        while not self.server.manager.is_connected(socket_id, self.namespace):
            if not self._channels.is_connected(socket_id):
                return
            await asyncio.sleep(0)
        await self._handler.on_connect(socket_id)

    def _disconnect(self, socket_id: SocketId, reason: str) -> None:
        if self._channels.disconnect(socket_id):
            self._start(self._see_off(socket_id, reason))

    async def _see_off(self, socket_id: SocketId, reason: str) -> None:
        try:
            await self._handler.on_disconnect(socket_id, reason)
        finally:
            self._channels.forget(socket_id)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a connection handler failed", exc_info=task.exception())
