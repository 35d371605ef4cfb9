"""The namespace of the service on a Socket.IO server: connects, events and disconnects of its sockets.

This module hides some pitfalls of the library. A handler's tuple becomes the ack's values. A ``TypeError``
from a handler makes the library call it again with fewer arguments, so none may escape. Clients can emit
events with the names of the library's own events.

On our own server only connects and disconnects use ``trigger_event``. Its dispatcher passes events
directly, and greets new sockets.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import socketio
from socketio.exceptions import ConnectionRefusedError as Refused

from chat_service.concurrency import eager
from chat_service.contracts.transport import Handshake, TransportHandler, fingerprint_of
from chat_service.errors import ChatServiceError, clean_text
from chat_service.hooks import call_hook
from chat_service.protocol.values import MAX_DEPTH, is_clean_value
from chat_service.protocol.wire import ErrorEncoder
from chat_service.transports.network.admissions import REASONS, Admissions
from chat_service.transports.network.channels import Connection, SocketSession
from chat_service.transports.network.opening import Opening, join_headers, read_text
from chat_service.transports.network.proxies import TrustedProxies
from chat_service.transports.socketio.socketio_channels import SocketIOChannels
from chat_service.transports.socketio.socketio_options import Middleware
from chat_service.types import SocketId

#: The name of the transport, see ``Handshake``.
NAME = "socket.io"


class Environs(dict[str, Any]):
    """The environs of a server's connections. For an ``Opening`` the environ is made on demand."""

    def __getitem__(self, sid: str) -> Any:
        return _environ(super().__getitem__(sid))

    def get(self, sid: str, default: Any = None) -> Any:
        return _environ(super().get(sid, default))


def _environ(found: Any) -> Any:
    return found.environ() if isinstance(found, Opening) else found


def read_handshake(
    environ: Mapping[str, Any] | Opening, auth: Any, socket_id: str = "", cookie: str | None = None
) -> Handshake:
    """The handshake data of a connecting socket. ``cookie``: the option ``fingerprint_cookie``."""
    if isinstance(environ, Opening):
        return Handshake(
            is_connected=True,
            query=environ.query,
            headers=environ.headers,
            auth=auth,
            remote_addr=environ.remote_addr,
            transport=NAME,
            fingerprint=fingerprint_of(environ.headers, cookie, socket_id),
        )
    headers = _headers(environ)
    return Handshake(
        is_connected=True,
        query=_query(environ),
        headers=headers,
        auth=auth,
        remote_addr=_remote_addr(environ),
        transport=NAME,
        fingerprint=fingerprint_of(headers, cookie, socket_id),
    )


# The libraries convert query and headers differently for each carrier, and lose some of them.


def _query(environ: Mapping[str, Any]) -> dict[str, str]:
    request, scope = environ.get("aiohttp.request"), environ.get("asgi.scope")
    if request is not None:
        text = request.rel_url.raw_query_string
    else:
        text = read_text(scope.get("query_string") or b"") if scope else environ.get("QUERY_STRING", "")
    fields = parse_qs(text, keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    request, scope = environ.get("aiohttp.request"), environ.get("asgi.scope")
    if request is not None:
        return join_headers(request.raw_headers)
    return join_headers(scope["headers"]) if scope else dict(_wsgi_headers(environ))


def _wsgi_headers(environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield key[5:].replace("_", "-").lower(), value
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            yield key.replace("_", "-").lower(), value


def _remote_addr(environ: Mapping[str, Any]) -> str | None:
    request = environ.get("aiohttp.request")
    if request is not None:
        return str(request.remote) if request.remote else None
    client = environ.get("asgi.scope", {}).get("client")
    return str(client[0]) if client else environ.get("REMOTE_ADDR")


logger = logging.getLogger("chat_service")

#: The Engine.IO session with an id, None if it is closed.
FindSession = Callable[[str], SocketSession | None]


class ServiceNamespace(socketio.AsyncNamespace):  # type: ignore[misc]
    """Passes the events of the namespace to a ``TransportHandler``, in the loop in which it is made."""

    def __init__(
        self,
        name: str,
        channels: SocketIOChannels,
        middlewares: tuple[Middleware, ...],
        handler: TransportHandler,
        expose_internal_errors: bool,
        use_raw_error_objects: bool = False,
        *,
        find_session: FindSession,
        is_own: bool,
        proxies: TrustedProxies | None = None,
        admissions: Admissions | None = None,
        middleware_timeout: float | None = None,
        fingerprint_cookie: str | None = None,
    ) -> None:
        """``is_own``: whether it is on our own server. On a caller's server, this class also checks
        connections:

        ``proxies`` tell the addresses of clients, and ``admissions`` limits the sockets.
        ``middleware_timeout``: time limit in seconds for each middleware.
        """
        super().__init__(name)
        self._proxies = proxies
        self._fingerprint_cookie = fingerprint_cookie
        self._admissions = admissions
        self.channels = channels
        self._find_session = find_session
        self._is_own = is_own
        self._middlewares = middlewares
        self._middleware_timeout = middleware_timeout
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._handlers = eager.Handlers()
        #: Whether new sockets are accepted.
        self.is_open = False
        self._raw_errors = ErrorEncoder(raw=True, expose_internal=expose_internal_errors)
        self._ack_errors = ErrorEncoder(raw=use_raw_error_objects, expose_internal=expose_internal_errors)

    async def trigger_event(self, event: Any, *args: Any) -> Any:
        """Called by a library server for every event; ``args`` starts with the socket id."""
        socket_id = SocketId(args[0])
        if event == "connect" and self._is_connect(socket_id, args):
            return await self._connect(socket_id, *args[1:])
        if event == "disconnect" and not self.server.manager.is_connected(socket_id, self.namespace):
            self.disconnected(socket_id, str(args[1]) if len(args) > 1 else "")
            return None
        # A caller's own server may let events without a name through.
        name = event if isinstance(event, str) else ""
        return tuple(await self._handler.on_event(socket_id, name, args[1:]))

    def _is_connect(self, socket_id: SocketId, args: Sequence[Any]) -> bool:
        """Whether this is the library's own event, not a client's event with the same name."""
        if self._is_own:
            return True
        # Values from a client were just decoded, so they cannot be the connection's environ object.
        environ = self.server.environ.get(self._session_id(socket_id))
        return environ is not None and len(args) > 1 and args[1] is environ

    def _session_id(self, socket_id: SocketId) -> Any:
        """The id of the Engine.IO session of a socket."""
        return self.server.manager.eio_sid_from_sid(socket_id, self.namespace)

    async def _connect(self, socket_id: SocketId, environ: Any, auth: Any = None) -> None:
        session = self._find_session(self._session_id(socket_id))
        await self.admit(socket_id, session, getattr(session, "opening", environ), auth)
        if not self._is_own:
            self._handlers.start(self._loop, self._greet_when_connected(socket_id))

    async def admit(
        self,
        socket_id: SocketId,
        session: SocketSession | None,
        environ: Mapping[str, Any] | Opening,
        auth: Any,
    ) -> Connection:
        """Accept a new socket, or raise the library's ``ConnectionRefusedError``."""
        handshake = read_handshake(environ, auth, socket_id, self._fingerprint_cookie)
        if self._proxies is not None:
            address = self._proxies.address_of(handshake.remote_addr, handshake.headers)
            handshake = replace(handshake, remote_addr=address)
        try:
            if not self.is_open:
                raise Refused("the service does not accept connections now")
            if self._admissions is not None:
                reason = self._admissions.refusal(handshake.remote_addr)
                if reason is not None:
                    raise Refused(REASONS[reason])
            if self._middlewares:
                await self._run_middlewares(handshake)
            if session is None or session.closed:
                # It has disconnected in the meantime, and its end would not be reported.
                raise Refused("the connection is closed")
        except TypeError as error:
            # The library would call the handler again without the auth argument.
            raise Refused(str(error)) from error
        if self._admissions is not None:
            self._admissions.enter(socket_id, handshake.remote_addr)
        return self.channels.add(socket_id, handshake, session)

    async def _run_middlewares(self, handshake: Handshake) -> None:
        for middleware in self._middlewares:
            try:
                await call_hook(middleware, handshake, limit=self._middleware_timeout)
            except Refused as error:
                if not is_clean_value(error.error_args, MAX_DEPTH):
                    raise Refused(clean_text(str(error.error_args.get("message")))) from error
                raise
            except ChatServiceError as error:
                raw = self._raw_errors.encode(error, "a middleware")
                text = clean_text(str(error))
                raise Refused(text, {"code": raw["code"], "args": raw["args"]}) from error
            except ConnectionRefusedError as error:
                raise Refused(clean_text(str(error))) from error
            except Exception as error:
                raise Refused(str(self._raw_errors.public_error(error, "a middleware"))) from error

    async def _greet_when_connected(self, socket_id: SocketId) -> None:
        """Announce the socket to the handler once the client knows that it is connected."""
        while not self.server.manager.is_connected(socket_id, self.namespace):
            if not self.channels.is_connected(socket_id):
                return
            await asyncio.sleep(0)
        await self._log_in(socket_id, partial(self._settle, socket_id))

    def _settle(self, socket_id: SocketId) -> None:
        if self._admissions is not None:
            self._admissions.settle(socket_id)

    def greet(self, socket_id: SocketId, on_login: Callable[[], None]) -> None:
        """Announce a socket whose client knows that it is connected.

        ``on_login`` is called when its login is complete.
        """
        self._handlers.start(self._loop, self._log_in(socket_id, on_login))

    async def _log_in(self, socket_id: SocketId, on_login: Callable[[], None]) -> None:
        try:
            await self._handler.on_connect(socket_id)
        finally:
            on_login()

    def serve(self, connection: Connection, event: str, args: Sequence[Any], number: int | None) -> None:
        """Handle an event of a socket of our own server, and answer it if it has a number."""
        work: Any = self._handler.on_event(connection.socket_id, event, args)
        if number is None:
            begun = eager.run_in(self._loop, work, _nothing)
        else:
            begun = eager.run_in(self._loop, work, self._answer, connection, number)
        if begun is not None:
            connection.session.wait_for(begun)

    def _answer(self, values: Sequence[Any], connection: Connection, number: int) -> None:
        try:
            self.channels.ack(connection, number, values)
        except Exception as error:
            # An exception would reach the reader of the connection, and end it.
            refusal = self._ack_errors.encode(
                error, f"the answer to an event of socket {connection.socket_id}"
            )
            self.channels.ack(connection, number, (refusal, None))

    def disconnected(self, socket_id: SocketId, reason: str) -> None:
        """A socket is gone."""
        if self._admissions is not None:
            self._admissions.leave(socket_id)
        connection = self.channels.get(socket_id)
        if connection is None:
            return
        self.channels.disconnect(socket_id)
        task = self._handlers.start(self._loop, self._see_off(socket_id, reason))
        if task is not None and not connection.session.closed:
            # Its client can connect anew. Count the rest of this disconnect, which also waits for the login,
            # so that a client that goes back and forth does not start any number of hooks.
            connection.session.wait_for(task)

    async def _see_off(self, socket_id: SocketId, reason: str) -> None:
        try:
            await self._handler.on_disconnect(socket_id, reason)
        finally:
            self.channels.forget(socket_id)


def _nothing(_: object) -> None:
    pass
