"""The sockets of the namespace, the channels that they are in, and what is sent to them."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from chat_service.contracts.transport import Handshake
from chat_service.transports.socketio.connection import WebSocketConnection
from chat_service.transports.socketio.encoding import Encoder, Outgoing
from chat_service.transports.socketio.engine import BUSY, UNSENT, EngineSocket
from chat_service.transports.socketio.outbox import Outbox
from chat_service.transports.socketio.slow_consumers import SlowConsumers, unsent_of
from chat_service.types import Channel, SocketId

#: Events of one socket that may wait for a store or a hook; what its client sends then waits in the system.
MAX_WAITING = 1000
#: Seconds between two looks at how much waits for a client of the caller's own server.
LOOK_AGAIN = 0.05


class Connection:
    """A socket of the namespace."""

    __slots__ = ("channels", "handshake", "session", "sink", "socket_id", "waiting")

    def __init__(self, socket_id: SocketId, handshake: Handshake, session: Any) -> None:
        self.socket_id = socket_id
        self.handshake = handshake
        #: The Engine.IO session, which packets are put into when there is no sink.
        self.session = session
        #: The WebSocket that frames are written to at once.
        self.sink: WebSocketConnection | None = None
        #: The channels that it is in, as keys.
        self.channels: dict[Channel, None] = {}
        #: Events that are being handled in tasks.
        self.waiting = 0

    def wait_for(self, task: "asyncio.Task[None]") -> None:
        """An event is being handled. While there are too many, no more are read."""
        self.waiting += 1
        if self.waiting == MAX_WAITING and isinstance(self.session, EngineSocket):
            self.session.hold(BUSY)
        task.add_done_callback(self._waited)

    def _waited(self, task: "asyncio.Task[None]") -> None:
        self.waiting -= 1
        if self.waiting == MAX_WAITING // 2 and isinstance(self.session, EngineSocket):
            self.session.release(BUSY)


class Members:
    """The sockets of one channel."""

    __slots__ = ("_split", "connections")

    def __init__(self) -> None:
        #: As keys.
        self.connections: dict[Connection, None] = {}
        self._split: tuple[list[WebSocketConnection], list[Connection]] | None = None

    def changed(self) -> None:
        """The members or their sinks are others than before."""
        self._split = None

    def split(self) -> tuple[list[WebSocketConnection], list[Connection]]:
        """The WebSockets to write to, and the members that have none. Kept from one broadcast to the next."""
        if self._split is None:
            self._split = split(self.connections)
        return self._split


def split(connections: Collection[Connection]) -> tuple[list[WebSocketConnection], list[Connection]]:
    """The WebSockets to write to, and the connections that have none."""
    sinks = [connection.sink for connection in connections if connection.sink is not None]
    if len(sinks) == len(connections):
        return sinks, []
    return sinks, [connection for connection in connections if connection.sink is None]


class Channels:
    """Encodes once per event. Frames go to the outbox, or packets into the queues of Engine.IO sessions.

    Every packet to a session takes the same way, acks and pings too, so their order holds.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._connections: dict[SocketId, Connection] = {}
        #: Sockets that are gone, while their disconnect is being handled.
        self._leaving: dict[SocketId, Connection] = {}
        self._channels: dict[Channel, Members] = {}
        #: Events that were sent to channels, and handed to sockets.
        self.broadcasts = 0
        self.deliveries = 0

    def use(self, server: Any, outbox: Outbox | None, slow_consumers: SlowConsumers) -> None:
        """Say which Socket.IO server has the sockets, and what their packets go through."""
        self._encoder = Encoder(self._namespace, server.packet_class)
        # Only sockets with a sink need it, which those of the caller's server do not have.
        self._outbox = outbox or Outbox()
        self._slow_consumers = slow_consumers

    # Sockets

    def add(self, socket_id: SocketId, handshake: Handshake, session: Any) -> Connection:
        """A socket is connected, over an Engine.IO session of ours or of the library."""
        connection = self._connections[socket_id] = Connection(socket_id, handshake, session)
        return connection

    def get(self, socket_id: SocketId) -> Connection | None:
        return self._connections.get(socket_id)

    def set_sink(self, connection: Connection, sink: WebSocketConnection) -> None:
        """From now on the socket's packets are written there."""
        connection.sink = sink
        for channel in connection.channels:
            self._channels[channel].changed()

    def is_connected(self, socket_id: SocketId) -> bool:
        return socket_id in self._connections

    def socket_ids(self) -> Collection[SocketId]:
        return self._connections.keys()

    def unsent(self) -> int:
        """Bytes that wait to be sent, of all sockets together."""
        # Of another namespace's sockets too where they share a session.
        sessions = {connection.session for connection in self._connections.values()}
        return sum(unsent_of(session) for session in sessions)

    async def drained(self, socket_id: SocketId) -> None:
        """Return when little enough is unsent for a large answer, or when the socket is gone."""
        connection = self._connections.get(socket_id)
        if connection is None:
            return
        session = connection.session
        if isinstance(session, EngineSocket):
            await session.wait_released(UNSENT)
            return
        limit = self._slow_consumers.send_buffer_limit
        while unsent_of(session) > limit and not session.closed:  # noqa: ASYNC110 - its queue tells nothing
            await asyncio.sleep(LOOK_AGAIN)

    def handshake(self, socket_id: SocketId) -> Handshake:
        connection = self._connections.get(socket_id)
        if connection is not None:
            return connection.handshake
        leaving = self._leaving.get(socket_id)
        return replace(leaving.handshake, is_connected=False) if leaving else Handshake(is_connected=False)

    def disconnect(self, socket_id: SocketId) -> bool:
        """Take a socket out of its channels; its handshake stays until ``forget``. False: it was not here."""
        connection = self._connections.pop(socket_id, None)
        if connection is None:
            return False
        for channel in connection.channels:
            self._remove(connection, channel)
        connection.channels.clear()
        self._leaving[socket_id] = connection
        return True

    def forget(self, socket_id: SocketId) -> None:
        self._leaving.pop(socket_id, None)

    # Channels

    def join(self, socket_id: SocketId, channel: Channel) -> None:
        connection = self._connections.get(socket_id)
        if connection is not None:
            connection.channels[channel] = None
            members = self._channels.get(channel)
            if members is None:
                members = self._channels[channel] = Members()
            members.connections[connection] = None
            members.changed()

    def leave(self, socket_id: SocketId, channel: Channel) -> None:
        connection = self._connections.get(socket_id)
        if connection is not None and channel in connection.channels:
            del connection.channels[channel]
            self._remove(connection, channel)

    def _remove(self, connection: Connection, channel: Channel) -> None:
        members = self._channels.get(channel)
        if members is not None:
            members.connections.pop(connection, None)
            members.changed()
            if not members.connections:
                del self._channels[channel]

    # Sending

    def emit(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        connection = self._connections.get(socket_id)
        if connection is not None:
            self.deliveries += 1
            self._send_to(connection, self._encoder.event(event, args))

    def ack(self, connection: Connection, number: int, values: Sequence[Any]) -> None:
        """Answer an event of a socket that had this number."""
        outgoing = self._encoder.ack(number, values)
        if connection.sink is not None:
            connection.sink.answer(outgoing.frame)
        else:
            self._put(connection.session, outgoing)

    def broadcast(
        self, channel: Channel, event: str, args: Sequence[Any], exclude: Collection[SocketId]
    ) -> None:
        members = self._channels.get(channel)
        if members is None:
            return
        if exclude:
            to = [connection for connection in members.connections if connection.socket_id not in exclude]
            if not to:
                return
            sinks, queued = split(to)
        else:
            sinks, queued = members.split()
        self.broadcasts += 1
        self.deliveries += len(sinks) + len(queued)
        outgoing = self._encoder.event(event, args)
        if sinks:
            self._outbox.put_all(sinks, outgoing.frame)
        for connection in queued:
            self._put(connection.session, outgoing)

    def _send_to(self, connection: Connection, outgoing: Outgoing) -> None:
        if connection.sink is not None:
            self._outbox.put(connection.sink, outgoing.frame)
        else:
            self._put(connection.session, outgoing)

    def _put(self, session: Any, outgoing: Outgoing) -> None:
        if not session.closed:
            for packet in outgoing.packets():
                session.queue.put_nowait(packet)
            self._slow_consumers.check(session)
