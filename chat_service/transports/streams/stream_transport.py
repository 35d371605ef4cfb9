"""The shared part of the transports of plain WebSockets and lines: a ``Transport`` without its port."""

import asyncio
import base64
import logging
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chat_service.concurrency import eager
from chat_service.concurrency.deadlines import Deadlines
from chat_service.contracts.capabilities import CommandFacts, TakesCommands
from chat_service.contracts.transport import Handshake, LifeCycleStep, TransportHandler, TransportStatistics
from chat_service.errors import ConfigurationError
from chat_service.open_files import accept_failures
from chat_service.option_group import is_text
from chat_service.transports.network.admissions import REASONS, Admissions
from chat_service.transports.network.connection_options import ConnectionOptions
from chat_service.transports.network.lines import SERVER_DISCONNECT, Line, Outbox
from chat_service.transports.streams.dialect import Closing, Dialect, TakesGuests
from chat_service.transports.streams.stream_channels import Frame, StreamChannels
from chat_service.transports.streams.stream_connection import LOGIN_TIMEOUT, StreamConnection
from chat_service.types import Channel, SocketId

logger = logging.getLogger("chat_service")


@dataclass(frozen=True, kw_only=True, repr=False)
class StreamOptions(ConnectionOptions):
    """Options of a stream transport. The slots are in its subclasses."""

    __slots__ = ()

    #: Maximum time in seconds for a client to read some of its backlog.
    drain_timeout: float = 20.0
    #: Maximum number of commands of one client that are handled at a time; beyond it, reading from the client
    #: stops.
    max_waiting_commands: int = 1000
    #: Maximum number of frames or lines of one client that are handled before other clients have their turn.
    max_commands_per_turn: int = 100

    def check_shared(self) -> None:
        """Check the options of this class and of connections. Raises ``ConfigurationError``."""
        self.check_connections()
        self.check_seconds("drain_timeout")
        self.check_count("a number", "max_waiting_commands", "max_commands_per_turn")

    def check_port(self, name: str, *, is_optional: bool) -> None:
        """Check an option that is a TCP port."""
        value = getattr(self, name)
        is_port = type(value) is int and 0 <= value <= 65535
        is_good = is_port or (is_optional and value is None)
        self.check(name, is_good, "a port, 0 to 65535" + (", or None" if is_optional else ""))

    def check_text(self, *names: str) -> None:
        """Check options that are None or non-empty texts."""
        for name in names:
            value = getattr(self, name)
            self.check(name, value is None or is_text(value), "a text or None")


#: Why connections are closed when the transport is.
CLOSING = Closing("server closing", may_return=True)


class StreamTransport:
    """Sockets that speak a dialect. Subclasses accept connections and pass them to ``open``."""

    #: Whether acks may contain ``EncodedMessages``, which ``write_json`` writes.
    takes_encoded = True
    #: JSON has no attachments, but binary values cost as much here, so answers are cut as elsewhere.
    max_attachments: int | None = None

    def __init__(
        self,
        dialect: Dialect,
        options: StreamOptions,
        frame: Frame,
        compressed_frame: Frame,
        idle_seconds: float,
    ) -> None:
        """``idle_seconds``: time without input after which ``on_idle`` is called."""
        self.dialect = dialect
        self._takes_guests = isinstance(dialect, TakesGuests) and dialect.takes_guests
        self.max_waiting = options.max_waiting_commands
        self.outbox = Outbox(options.send_buffer_limit)
        self.admissions = Admissions(options.connection_limits)
        #: Whether new connections are accepted.
        self.is_open = False
        #: Number of connections closed because their clients did not read.
        self.slow_consumers = 0
        self._limits = options
        self._channels = StreamChannels(dialect, self.outbox, frame, compressed_frame)
        #: All connections, including those without a login.
        self._connections: dict[SocketId, StreamConnection] = {}
        self._handler: TransportHandler | None = None
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handlers = eager.Handlers()
        self.unused: Deadlines[StreamConnection] = Deadlines(
            options.connect_timeout, lambda each: each.dismiss(Closing(LOGIN_TIMEOUT))
        )
        self.idle: Deadlines[StreamConnection] = Deadlines(idle_seconds, self.on_idle)
        self.stalled: Deadlines[StreamConnection] = Deadlines(
            options.drain_timeout, lambda each: each.look_at_stalled()
        )

    @property
    def name(self) -> str:
        """The name of the dialect."""
        return self.dialect.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.dialect.name} sockets={len(self.socket_ids())}>"

    # Life cycle

    def attach(self, start: LifeCycleStep, close: LifeCycleStep) -> None:
        """Ignored: the service starts and closes the transport."""

    async def start(self, handler: TransportHandler) -> None:
        self._handler = handler
        self._loop = asyncio.get_running_loop()

    async def listen(self) -> None:
        if self._handler is None:
            raise ConfigurationError("the transport was not started")
        self.is_open = True

    async def stop_listening(self) -> None:
        self.is_open = False

    async def close(self) -> None:
        await self.stop_listening()
        if self._handler is None or self._is_closed:
            return
        self._is_closed = True
        lines = [connection.line for connection in self._connections.values()]
        for connection in tuple(self._connections.values()):
            connection.dismiss(CLOSING)
        for deadlines in (self.unused, self.idle, self.stalled):
            deadlines.close()
        await asyncio.gather(*(line.wait_closed() for line in lines))

    @property
    def port(self) -> int | None:
        return None

    def take_commands(self, commands: Callable[[], Mapping[str, CommandFacts]]) -> None:
        """Part of ``TakesCommands``."""
        if isinstance(self.dialect, TakesCommands):
            self.dialect.take_commands(commands)

    # Connections

    @staticmethod
    def new_id() -> SocketId:
        """A new, unguessable id."""
        return SocketId(base64.urlsafe_b64encode(secrets.token_bytes(15)).decode())

    def refusal(self, address: str | None) -> str | None:
        """Why a connection from an address is refused, as a text for its client; None if it is not."""
        if not self.is_open:
            return "the service does not accept connections now"
        reason = self.admissions.refusal(address)
        return None if reason is None else REASONS[reason]

    def admit(self, connection: StreamConnection) -> None:
        """A connection was accepted."""
        self._connections[connection.socket_id] = connection
        self.admissions.enter(connection, connection.client.handshake.remote_addr)
        connection.begin()

    def on_idle(self, connection: StreamConnection) -> None:
        """Nothing has arrived on a connection for a while."""
        raise NotImplementedError

    # Part of ``StreamOwner``

    def log_in(self, connection: StreamConnection, auth: Any, query: Mapping[str, str]) -> None:
        """Announce a socket to the service."""
        known = connection.client.handshake
        handshake = replace(known, auth=auth, query={**known.query, **query} if query else known.query)
        handshake = replace(handshake, takes_guests=self._takes_guests)
        made = self._channels.add(connection.socket_id, handshake, connection)
        self._channels.add_stream(connection, made)
        task = self._handlers.start(asyncio.get_running_loop(), self._log_in(connection))
        if task is not None:
            connection.wait_for(task)

    async def _log_in(self, connection: StreamConnection) -> None:
        try:
            if self._handler is not None:
                await self._handler.on_connect(connection.socket_id)
        finally:
            self.admissions.settle(connection)

    def run(self, connection: StreamConnection, command: str, args: Sequence[Any], tag: Any) -> None:
        """Run a command. Its outcome is passed on before the event loop runs anything else."""
        if self._handler is None or self._loop is None:
            return
        work: Any = self._handler.on_event(connection.socket_id, command, args)
        begun = eager.run_in(self._loop, work, connection.answer, tag)
        if begun is not None:
            connection.wait_for(begun)

    def write(self, connection: StreamConnection, data: bytes, *, is_answer: bool) -> None:
        """Send a frame."""
        self._channels.write(connection, data, is_answer=is_answer)

    def close_line(self, line: Line, closing: Closing) -> None:
        """Close a connection."""
        line.close()

    def found_slow(self, connection: StreamConnection, unsent: int) -> None:
        """A client does not read."""
        self.slow_consumers += 1
        logger.warning(
            "closing connection %s as a slow consumer: %s bytes are unsent", connection.socket_id, unsent
        )

    def forget(self, connection: StreamConnection, reason: str) -> None:
        """A connection is closed."""
        self._connections.pop(connection.socket_id, None)
        self.admissions.leave(connection)
        for deadlines in (self.unused, self.idle, self.stalled):
            deadlines.discard(connection)
        if self._channels.disconnect(connection.socket_id):
            self._handlers.start(asyncio.get_running_loop(), self._see_off(connection.socket_id, reason))

    async def _see_off(self, socket_id: SocketId, reason: str) -> None:
        try:
            if self._handler is not None:
                await self._handler.on_disconnect(socket_id, reason)
        finally:
            self._channels.forget(socket_id)

    # Sockets

    def socket_ids(self) -> Collection[SocketId]:
        return self._channels.socket_ids()

    def is_connected(self, socket_id: SocketId) -> bool:
        return self._channels.is_connected(socket_id)

    def get_handshake(self, socket_id: SocketId) -> Handshake:
        return self._channels.handshake(socket_id)

    def get_socket(self, socket_id: SocketId) -> StreamConnection | None:
        """The connection of a socket of this instance, otherwise None."""
        return self._channels.stream(socket_id)

    def get_server(self) -> Any:
        """The transport itself."""
        return self

    async def drained(self, socket_id: SocketId) -> None:
        """Wait until the client has read enough for a large answer to follow."""
        await self._channels.drained(socket_id)

    def statistics(self) -> TransportStatistics:
        """Figures about what was sent so far."""
        return TransportStatistics(
            accept_failures=accept_failures.count,
            connections=len(self.admissions),
            pending_connections=self.admissions.pending,
            refused_connections=self.admissions.refused,
            broadcasts=self._channels.broadcasts,
            deliveries=self._channels.deliveries,
            send_buffer_bytes=sum(connection.unsent for connection in self._connections.values()),
            slow_consumers=self.slow_consumers,
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
        connection = self._channels.stream(socket_id)
        if connection is not None:
            connection.dismiss(Closing(SERVER_DISCONNECT, may_return))
