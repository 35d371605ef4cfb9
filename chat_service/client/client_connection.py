"""A single connection to the service, with its login."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import aiohttp
import socketio

from chat_service.client.client_errors import ConnectFailedError, NotConnectedError, from_wire

logger = logging.getLogger("chat_service.client")

#: Credentials, or a function that returns them for each connection.
Credentials = Mapping[str, Any] | Callable[[], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """Where and how to connect."""

    url: str
    namespace: str = "/chat-service"
    query: Mapping[str, str] = field(default_factory=dict)
    auth: Credentials = field(default_factory=dict)
    #: Time in seconds for a connection and its login, and for the answer to a command.
    timeout: float = 10.0
    transports: tuple[str, ...] = ("websocket",)
    #: Keywords of ``socketio.AsyncClient``, such as ``serializer``.
    client_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The URL with the query."""
        parts = urlsplit(self.url)
        query = "&".join(filter(None, (parts.query, urlencode(self.query))))
        return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))

    async def credentials(self) -> dict[str, Any]:
        """The credentials for a new connection."""
        return dict(await self.auth() if callable(self.auth) else self.auth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A confirmed login. ``id``: the socket's id, which changes with each reconnect."""

    user_name: str
    id: str
    auth_data: Mapping[str, Any]


class Connection:
    """One connection. ``on_event(name, args)`` is called for each event, in order."""

    def __init__(
        self,
        options: ConnectionOptions,
        session: aiohttp.ClientSession,
        on_event: Callable[[str, tuple[Any, ...]], None],
    ) -> None:
        self._options = options
        self._on_event = on_event
        self._sio = socketio.AsyncClient(
            reconnection=False, handle_sigint=False, http_session=session, **options.client_options
        )
        self._sio.on("*", self._take, namespace=options.namespace)
        self._sio.on("disconnect", self._lost, namespace=options.namespace)
        self._login: asyncio.Future[Login] = asyncio.get_running_loop().create_future()
        #: Commands that wait for their answers.
        self._waiting: set[asyncio.Future[list[Any]]] = set()
        #: The reason, once the connection is lost.
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def open(self) -> Login:
        """Connect and log in. Raises ``ConnectFailedError``, or the ``ChatServiceError`` of a rejection."""
        options = self._options
        try:
            async with asyncio.timeout(options.timeout):
                await self._sio.connect(
                    options.address,
                    auth=await options.credentials(),
                    namespaces=[options.namespace],
                    transports=list(options.transports),
                    wait_timeout=options.timeout,
                )
                return await self._login
        except (socketio.exceptions.ConnectionError, TimeoutError, OSError) as error:
            reason = str(error) or "no answer in time"
            raise ConnectFailedError(f"cannot connect to {options.url}: {reason}") from error

    async def close(self) -> None:
        """Disconnect. Idempotent."""
        with contextlib.suppress(Exception):
            await self._sio.disconnect()
        # After the server has closed the connection, the library's loops wait for their own timeout.
        eio = self._sio.eio
        loops = [task for task in (eio.read_loop_task, eio.write_loop_task) if task is not None]
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        self._end("closed")

    async def call(self, command: str, *args: Any) -> list[Any]:
        """Send a command, and return the values of its answer after the error.

        Raises ``ChatServiceError``, or ``NotConnectedError`` if the connection is lost or the answer does
        not arrive in time.
        """
        if self.lost.done():
            raise NotConnectedError("there is no connection")
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

        def take(*values: Any) -> None:
            if not answer.done():
                answer.set_result(list(values))

        self._waiting.add(answer)
        try:
            async with asyncio.timeout(self._options.timeout):
                plain = tuple(dict(item) if isinstance(item, Mapping) else item for item in args)
                await self._sio.emit(command, plain, namespace=self._options.namespace, callback=take)
                error, *values = await answer
        except TimeoutError:
            raise NotConnectedError(f"no answer to {command} in {self._options.timeout:g} s") from None
        except socketio.exceptions.SocketIOError as failure:
            raise NotConnectedError(f"{command} cannot be sent: {failure}") from failure
        finally:
            self._waiting.discard(answer)
        if error is not None:
            raise from_wire(error)
        return values

    def _take(self, event: str, *args: Any) -> None:
        if event == "loginConfirmed" and not self._login.done():
            user_name, auth_data = args
            login = Login(user_name=user_name, id=auth_data["id"], auth_data=auth_data)
            self._login.set_result(login)
        elif event == "loginRejected" and not self._login.done():
            self._login.set_exception(from_wire(args[0]))
        self._on_event(event, args)

    def _lost(self, reason: str) -> None:
        self._end(reason)

    def _end(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)
        if not self._login.done():
            self._login.set_exception(ConnectFailedError(f"the connection was lost: {reason}"))
            # Nobody may be waiting for it.
            self._login.exception()
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(NotConnectedError(f"the connection was lost: {reason}"))
