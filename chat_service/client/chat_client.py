"""A client that reconnects, catches up, and sends each message exactly once."""

import asyncio
import inspect
import logging
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from chat_service.client.client_commands import Commands
from chat_service.client.client_connection import Connection, ConnectionOptions, Credentials, Login
from chat_service.client.client_conversations import Conversations
from chat_service.client.client_errors import AGAIN, ChatClientError, ConnectFailedError, NotConnectedError
from chat_service.client.client_outbox import Outbox
from chat_service.client.client_room import ClientRoom
from chat_service.client.client_uploads import Uploads
from chat_service.errors import ChatServiceError

logger = logging.getLogger("chat_service.client")

#: Attempts to refresh a login, and the delay in seconds after the first; it doubles each time.
REFRESH_ATTEMPTS, REFRESH_PAUSE = 4, 1.0
#: python-socketio's name for a connection that the server has closed for good.
ENDED_BY_SERVER = "server disconnect"


class ChatClient(Conversations, Uploads):
    """One login of a user. Use it as a context manager, or call ``connect`` and ``close``.

    After a lost connection it reconnects, rejoins its rooms where it left off, and continues to send.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: Credentials | None = None,
        query: Mapping[str, str] | None = None,
        namespace: str = "/chat-service",
        timeout: float = 10.0,
        transports: tuple[str, ...] = ("websocket",),
        reconnect_delay: float = 0.5,
        max_reconnect_delay: float = 10.0,
        outbox: str | Path | None = None,
        outbox_limit: int = 1000,
        outbox_max_age: float = 240.0,
        stream_limit: int = 1000,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Times in seconds.

        ``auth``: the handshake's auth object, or a coroutine function that returns it for each connection
        and each ``loginExpiring``. ``timeout``: for a connection including its login, and for an answer.
        ``outbox``: a file that keeps unsent messages across restarts. ``outbox_limit``: maximum number of
        unacknowledged messages. ``outbox_max_age``: how long a message without an answer is retried; keep
        it below the service's ``idempotency_window``. ``stream_limit``: maximum number of messages of a
        room that wait in memory to be read. ``client_options``: keywords of ``socketio.AsyncClient``.
        """
        self._options = ConnectionOptions(
            url=url,
            namespace=namespace,
            query=query or {},
            auth=auth or {},
            timeout=timeout,
            transports=transports,
            client_options=client_options or {},
        )
        self._delays = (reconnect_delay, max_reconnect_delay)
        self._outbox_options = (outbox_limit, outbox_max_age, None if outbox is None else Path(outbox))
        self._stream_limit = stream_limit
        self._outbox: Outbox | None = None
        self._session: aiohttp.ClientSession | None = None
        self._connection: Connection | None = None
        self._rooms: dict[str, ClientRoom] = {}
        self._handlers: dict[str, list[Callable[..., Any]]] = {}
        self._online = asyncio.Event()
        # Rooms with a running task that sends messages.
        self._sending: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        # Loop time of the last attempt to refresh the login.
        self._refresh_at = float("-inf")
        #: The last confirmed login.
        self.login: Login | None = None
        #: Why the server closed the client, once it has.
        self.error: Exception | None = None
        #: The commands as typed methods: ``await client.commands.room_create("tea", False)``.
        self.commands = Commands(self._call)

    def __repr__(self) -> str:
        return f"<ChatClient {self._options.url} {'online' if self.is_online else 'offline'}>"

    @property
    def is_online(self) -> bool:
        """Whether a login is confirmed and, as far as known, its connection still exists."""
        return self._online.is_set()

    @property
    def unsent(self) -> int:
        """Number of messages that are not acknowledged yet."""
        return 0 if self._outbox is None else len(self._outbox)

    # Life cycle

    async def connect(self) -> Login:
        """Connect and log in.

        Raises ``ConnectFailedError``, the ``ChatServiceError`` of a rejected login, or ``OutboxError``.
        """
        if self._session is not None:
            raise ChatClientError("the client is connected already")
        limit, max_age, path = self._outbox_options
        self._outbox = Outbox(limit=limit, max_age=max_age, path=path)
        session = self._session = aiohttp.ClientSession()
        self.error = None
        try:
            connection, login = await self._open(session)
        except BaseException:
            await self.close()
            raise
        self._spawn(self._keep(session, connection))
        for room in self._outbox.rooms():
            self._send_soon(room)
        return login

    async def close(self) -> None:
        """Disconnect. The next client with the same outbox file sends its messages. Idempotent."""
        self._online.clear()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        outbox, self._outbox = self._outbox, None
        if outbox is not None:
            outbox.close(NotConnectedError("the client was closed"))
        for room in self._rooms.values():
            room.end()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _open(self, session: aiohttp.ClientSession) -> tuple[Connection, Login]:
        connection = Connection(self._options, session, self._take)
        try:
            login = self.login = await connection.open()
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        self._refresh_at = float("-inf")
        self._online.set()
        return connection, login

    async def _keep(self, session: aiohttp.ClientSession, connection: Connection) -> None:
        """Reconnect whenever the connection is lost, until the server closes it for good."""
        while True:
            reason = await connection.lost
            self._online.clear()
            for room in self._rooms.values():
                room.lose()
            await connection.close()
            if reason == ENDED_BY_SERVER:
                self._fail(NotConnectedError("the server has disconnected this socket"))
                return
            logger.info("connection to %s lost: %s", self._options.url, reason)
            following = await self._reconnect(session)
            if following is None:
                return
            connection = following
            for room in [room for room in self._rooms.values() if room.is_wanted]:
                self._spawn(self._enter_again(room))

    async def _reconnect(self, session: aiohttp.ClientSession) -> Connection | None:
        """Connect and log in. Returns None if the login is rejected."""
        delay, longest = self._delays
        while True:
            # Add jitter, because many clients may lose their server at the same moment.
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311
            delay = min(delay * 2, longest)
            try:
                connection, _ = await self._open(session)
            except ConnectFailedError as error:
                logger.info("%s", error)
            except ChatServiceError as error:
                if error.code not in AGAIN:
                    self._fail(error)
                    return None
            except Exception as error:
                # Of the application's function for credentials, whose source may be away for a moment.
                logger.warning("no credentials for a connection to %s: %r", self._options.url, error)
            else:
                return connection

    def _fail(self, error: Exception) -> None:
        self.error = error
        logger.warning("the connection to %s has ended: %r", self._options.url, error)
        if self._outbox is not None:
            self._outbox.fail_all(error)
        for room in self._rooms.values():
            room.end()

    def _spawn(self, work: Any) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a task of the chat client failed", exc_info=task.exception())

    # Rooms

    def room(self, name: str) -> ClientRoom:
        """The room with this name; always the same object for the same name. This does not join the room."""
        return self._rooms.setdefault(name, ClientRoom(self, name, self._stream_limit))

    async def join(self, name: str, *, recent: int = 0) -> ClientRoom:
        """Join a room. Its stream begins with its ``recent`` newest messages.

        Raises the ``ChatServiceError`` of a refusal, or ``NotConnectedError``.
        """
        room = self.room(name)
        if not room.joined.is_set():
            try:
                await room.enter(recent)
            except ChatServiceError:
                room.end()
                raise
            if self._outbox is not None and name in self._outbox.rooms():
                self._send_soon(name)
        return room

    async def _enter_again(self, room: ClientRoom) -> None:
        connection, (delay, longest) = self._connection, self._delays
        # Each connection has to join again.
        while room.is_wanted and connection is self._connection and self._online.is_set():
            try:
                await room.enter(None)
                return
            except NotConnectedError as error:
                logger.info("room %s is not joined again yet: %s", room.name, error)
            except ChatServiceError as error:
                if error.code not in AGAIN:
                    logger.warning("room %s cannot be joined again: %s", room.name, error)
                    room.end()
                    return
            await asyncio.sleep(delay)
            delay = min(delay * 2, longest)

    # Sending

    @property
    def user_name(self) -> str | None:
        """The name of the last confirmed login."""
        return None if self.login is None else self.login.user_name

    async def deliver(
        self, room: str, message: Mapping[str, Any], key: str | None, options: Mapping[str, Any]
    ) -> int:
        """Send a message to a room, and return its id when it is stored. See ``ClientRoom.send``.

        ``options``: further options of ``Commands.room_message``.
        """
        if self._outbox is None or self.error is not None:
            raise NotConnectedError("the client is closed")
        entry = self._outbox.add(room, message, key, options)
        self._send_soon(room)
        return await asyncio.shield(entry.outcome)

    def _send_soon(self, room: str) -> None:
        if room not in self._sending:
            self._sending.add(room)
            self._spawn(self._send(room))

    async def _send(self, room: str) -> None:
        try:
            await self._send_all(room)
        finally:
            self._sending.discard(room)

    async def _send_all(self, room: str) -> None:
        """Send the messages of a room one after another, each until it is answered."""
        delay, longest = self._delays
        while self._outbox is not None:
            await self._online.wait()
            known = self._rooms.get(room)
            if known is not None:
                await known.decided.wait()
            # Look at the queue after the wait, because the entry may have become too old.
            entry = self._outbox.head(room)
            if entry is None:
                return
            is_repeat = entry.sent_at is not None
            self._outbox.begin(entry)
            try:
                message_id, _ = await self.commands.room_message(
                    room, entry.message, idempotency_key=entry.key, **entry.options
                )
            except NotConnectedError:
                await asyncio.sleep(delay)
            except ChatServiceError as error:
                if error.code == "notJoined" and entry.is_restored:
                    self._outbox.postpone(entry, is_repeat=is_repeat)
                    if room not in self._rooms or not self._rooms[room].is_wanted:
                        # ``join`` continues the work.
                        return
                elif error.code not in AGAIN:
                    self._outbox.refuse(entry, error, is_repeat=is_repeat)
                    continue
                await asyncio.sleep(delay)
                delay = min(delay * 2, longest)
            else:
                self._outbox.end(entry, message_id)
                delay = self._delays[0]

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._options.url

    # Commands and events

    async def _call(self, command: str, *args: Any) -> list[Any]:
        if self._connection is None or not self._online.is_set():
            raise NotConnectedError("there is no connection")
        return await self._connection.call(command, *args)

    async def command(self, name: str, *args: Any) -> Any:
        """Run a command that the application has added to the service, and return its result.

        Raises the ``ChatServiceError`` of the service, or ``NotConnectedError``.
        """
        return (await self._call(name, *args))[0]

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        """Call ``handler(*args)``, a plain function, for each notification with this name, in order."""
        if inspect.iscoroutinefunction(handler):
            raise TypeError(f"the handler of {event} is a coroutine function; start a task in a plain one")
        self._handlers.setdefault(event, []).append(handler)

    def _take(self, event: str, args: tuple[Any, ...]) -> None:
        room = self._rooms.get(args[0]) if args and isinstance(args[0], str) else None
        if room is not None:
            if event == "roomMessage":
                room.take(args[1])
            elif event == "roomHistoryGap":
                room.miss(args[1])
            elif event == "roomEvent":
                room.hear(args[1])
            elif event == "roomAccessRemoved":
                room.end()
        elif event == "loginExpiring":
            self._spawn(self._refresh(args[0]))
        for handler in self._handlers.get(event, ()):
            try:
                handler(*args)
            except Exception:
                logger.exception("the handler of %s failed", event)

    async def _refresh(self, seconds: float) -> None:
        """Send fresh credentials. The server asks for them ``seconds`` before the login expires."""
        connection, now = self._connection, asyncio.get_running_loop().time
        if now() - self._refresh_at < seconds:
            # If logins are shorter than the server's notice period, each refresh triggers a notice. Avoid a
            # busy loop.
            await asyncio.sleep(max(seconds / 2, REFRESH_PAUSE))
        for attempt in range(REFRESH_ATTEMPTS):
            if connection is not self._connection:
                return
            self._refresh_at = now()
            try:
                credentials = await self._options.credentials()
                if connection is self._connection:
                    await self._call("loginRefresh", credentials)
                return
            except NotConnectedError:
                # The next connection logs in with fresh credentials anyway.
                return
            except Exception as error:
                # This includes errors of the application's function.
                logger.warning("the login could not be refreshed, attempt %d: %r", attempt + 1, error)
            await asyncio.sleep(REFRESH_PAUSE * 2**attempt)
