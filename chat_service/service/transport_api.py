"""The transport API: handshakes, custom events, and notifications to all instances."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any, overload

from chat_service.commands.own_commands import RESERVED_EVENTS
from chat_service.commands.table import RESERVED_NAMES
from chat_service.contracts.bus import (
    EVERYONE,
    ApplicationEvent,
    DisconnectSocket,
    DisconnectUser,
    Envelope,
    Notify,
    Topic,
    TopicKind,
)
from chat_service.contracts.transport import Handshake
from chat_service.domain.context import Context
from chat_service.domain.emitter import EventEmitter
from chat_service.errors import ChatServiceError, ConfigurationError
from chat_service.hooks import Hook
from chat_service.protocol.values import MAX_DEPTH, count_binary
from chat_service.types import SocketId, UserName, user_channel

logger = logging.getLogger("chat_service")

_USER_PREFIX = user_channel("")


class Publisher:
    """Publishes from synchronous code in the order of the calls; the result may be awaited."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()

    def publish(self, topic: Topic, envelope: Envelope) -> "asyncio.Task[None]":
        """Start publishing. Awaiting the task raises its error; an error nobody awaits is logged."""
        self._context.check_open()
        return self._start(self._context.store.bus.publish(topic, envelope))

    def disconnect_user(self, user: UserName) -> "asyncio.Task[None]":
        """Disconnect all sockets of a user, on all instances."""
        return self.publish(Topic(TopicKind.USER, user), DisconnectUser())

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(self._tracked(work))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def _tracked(self, work: Coroutine[Any, Any, None]) -> None:
        with self._context.running.track("publish"):
            await work

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a notification could not be sent: %r", task.exception())


def check_event(event: str, data: tuple[Any, ...], max_attachments: int | None = None) -> None:
    """Raise for an event that clients could not receive.

    ``max_attachments``: None for an event that goes only to instances.
    """
    if type(event) is not str or not event or event in RESERVED_EVENTS:
        raise ValueError(f"{event!r} is not a valid event name")
    found = count_binary(data, MAX_DEPTH)
    if found is None:
        raise TypeError(f"event {event}: the data cannot be serialised: {data!r}")
    if max_attachments is not None and found > max_attachments:
        raise ValueError(
            f"event {event}: the data contains {found} binary values; max_attachments is {max_attachments}"
        )


class TransportAPI:
    """Access to the transport for server code (server-api.md, Transport API)."""

    def __init__(self, context: Context, publisher: Publisher) -> None:
        self._context = context
        self._publisher = publisher

    def get_handshake_data(self, socket_id: str) -> Handshake:
        """The handshake data of a client; for a socket of another instance, just ``is_connected=False``."""
        return self._context.transport.get_handshake(SocketId(socket_id))

    def bind_handler(self, socket_id: str, event: str, handler: Hook) -> None:
        """Call ``handler(*args)`` when a socket of this instance emits a custom event.

        The ack returns the handler's result: the items of a list or tuple, or a single value. An exception is
        returned as an error. Too few arguments are an error (``wrongArgumentsCount``), surplus ones are
        dropped. An event that comes before the end of the login waits for it, as commands do, and gets
        ``noLogin`` when the login is rejected: no handler runs without a login. Raises ``invalidSocket``
        unless the socket is on this instance, ``ValueError`` if the name belongs to a command, or is
        reserved by Socket.IO or for a later version.
        """
        if event in self._context.commands:
            raise ValueError(f"{event} is a command: use its hooks")
        if event in RESERVED_NAMES:
            raise ValueError(f"{event} is reserved for a later version")
        check_event(event, ())
        if not callable(handler):
            raise ConfigurationError(f"event {event}: expected a function, got {handler!r}")
        session = self._context.sessions.get(SocketId(socket_id))
        if session is None:
            raise ChatServiceError("invalidSocket", socket_id)
        session.handlers[event] = _tolerant(handler)

    def emit_to_channel(self, channel: str, event: str, *data: Any) -> "asyncio.Task[None]":
        """Send an event to all sockets of a room, or of a user (``user_channel(name)``), on all instances.

        Events are sent in the order of the calls. Awaiting the returned task raises errors of the bus.
        """
        check_event(event, data, self._context.limits.attachments)
        return self._publisher.publish(_topic(channel), Notify(event=event, args=data))

    def send_to_channel(self, socket_id: str, channel: str, event: str, *data: Any) -> "asyncio.Task[None]":
        """``emit_to_channel`` to all sockets of the channel except one."""
        check_event(event, data, self._context.limits.attachments)
        envelope = Notify(event=event, args=data, exclude=(SocketId(socket_id),))
        return self._publisher.publish(_topic(channel), envelope)

    def get_socket(self, socket_id: str) -> Any:
        """The transport library's object for a socket of this instance, or None."""
        return self._context.transport.get_socket(SocketId(socket_id))

    def get_server(self) -> Any:
        """The transport library's server; for Socket.IO the ``socketio.AsyncServer``."""
        return self._context.transport.get_server()

    def disconnect_socket(self, socket_id: str) -> "asyncio.Task[None]":
        """Disconnect a socket on any instance. An unknown socket is ignored."""
        return self._publisher.publish(EVERYONE, DisconnectSocket(socket_id=SocketId(socket_id)))


def _tolerant(handler: Hook) -> Hook:
    """Wrap a handler so that it accepts any number of arguments from a client."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        # Some built-in functions have no signature.
        return handler
    named = [item for item in parameters if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)]
    needed = sum(item.default is item.empty for item in named)
    takes_all = any(item.kind is item.VAR_POSITIONAL for item in parameters)
    taken = None if takes_all else len(named)

    def run(*args: Any) -> Any:
        if len(args) < needed:
            raise ChatServiceError("wrongArgumentsCount", needed, len(args))
        return handler(*args[:taken])

    return run


def _topic(channel: str) -> Topic:
    if channel.startswith(_USER_PREFIX):
        return Topic(TopicKind.USER, channel.removeprefix(_USER_PREFIX))
    return Topic(TopicKind.ROOM, channel)


class ClusterBus:
    """Application events to all instances, including this one (server-api.md, Cluster bus)."""

    def __init__(self, emitter: EventEmitter, publisher: Publisher) -> None:
        self._emitter = emitter
        self._publisher = publisher

    @overload
    def on(self, event: str, listener: Hook) -> Hook: ...
    @overload
    def on(self, event: str) -> Callable[[Hook], Hook]: ...
    def on(self, event: str, listener: Hook | None = None) -> Any:
        """Call ``listener(*data)`` on each event. Also works as a decorator. Exceptions are logged."""

        def register(function: Hook) -> Hook:
            self._emitter.add(event, function)
            return function

        return register if listener is None else register(listener)

    def emit(self, event: str, *data: Any) -> "asyncio.Task[None]":
        """Send an event. Awaiting the returned task raises errors of the bus."""
        check_event(event, data)
        return self._publisher.publish(EVERYONE, ApplicationEvent(event=event, args=data))
