"""The sockets of a transport, and their channels. Each transport adds how it sends to them."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Protocol

from chat_service.concurrency.eager import Waited
from chat_service.contracts.transport import Handshake
from chat_service.transports.network.lines import FrameSink
from chat_service.types import Channel, SocketId


class SocketSession(Protocol):
    """The way to reach a socket: its Engine.IO session, or its stream connection."""

    @property
    def closed(self) -> bool:
        """Whether the session is closed."""
        ...

    @property
    def unsent(self) -> int:
        """Number of bytes waiting to be sent."""
        ...

    def send_all(self, packets: Iterable[str | bytes], *, is_answer: bool = False) -> None:
        """Send packets that belong together. ``is_answer``: they answer a request of the client."""
        ...

    async def wait_drained(self) -> None:
        """Wait until the backlog is small enough for a large answer, or the session is closed."""
        ...

    def wait_for(self, work: Waited) -> None:
        """An event is being handled."""
        ...

    def unbind(self) -> None:
        """The session's socket is gone."""
        ...


class Connection:
    """A socket."""

    __slots__ = ("channels", "handshake", "session", "sink", "socket_id")

    def __init__(self, socket_id: SocketId, handshake: Handshake, session: SocketSession) -> None:
        self.socket_id = socket_id
        self.handshake = handshake
        #: Where packets are sent if there is no sink.
        self.session = session
        #: The WebSocket to which frames are written directly.
        self.sink: FrameSink | None = None
        #: The socket's channels, as keys.
        self.channels: dict[Channel, None] = {}


#: The WebSockets to write to, those among them whose clients accept compressed messages, and the
#: connections without a WebSocket.
Split = tuple[list[FrameSink], list[FrameSink], list[Connection]]


class Members:
    """The sockets of one channel."""

    __slots__ = ("connections", "groups")

    def __init__(self) -> None:
        #: The members, as keys.
        self.connections: dict[Connection, None] = {}
        #: The latest result of ``split``, while it is still right.
        self.groups: Split | None = None

    def changed(self) -> None:
        """The members or their sinks have changed."""
        self.groups = None

    def split(self) -> Split:
        """The recipients of a broadcast."""
        self.groups = split(self.connections)
        return self.groups


def split(connections: Collection[Connection]) -> Split:
    """Group connections by how they are reached."""
    sinks = [connection.sink for connection in connections if connection.sink is not None]
    queued = (
        []
        if len(sinks) == len(connections)
        else [connection for connection in connections if connection.sink is None]
    )
    compressed = [sink for sink in sinks if sink.is_compressed]
    if compressed:
        sinks = [sink for sink in sinks if not sink.is_compressed]
    return sinks, compressed, queued


class Channels:
    """Knows which sockets there are, and which channels each has joined."""

    def __init__(self) -> None:
        self._connections: dict[SocketId, Connection] = {}
        #: Sockets that are gone, while their disconnect is being handled.
        self._leaving: dict[SocketId, Connection] = {}
        self._channels: dict[Channel, Members] = {}
        #: Number of events sent to channels, and number of deliveries to sockets.
        self.broadcasts = 0
        self.deliveries = 0

    # Sockets

    def add(self, socket_id: SocketId, handshake: Handshake, session: SocketSession) -> Connection:
        """A socket is connected."""
        connection = self._connections[socket_id] = Connection(socket_id, handshake, session)
        return connection

    def get(self, socket_id: SocketId) -> Connection | None:
        return self._connections.get(socket_id)

    def set_sink(self, connection: Connection, sink: FrameSink) -> None:
        """Write the socket's packets to this WebSocket from now on."""
        connection.sink = sink
        for channel in connection.channels:
            self._channels[channel].changed()

    def is_connected(self, socket_id: SocketId) -> bool:
        return socket_id in self._connections

    def socket_ids(self) -> Collection[SocketId]:
        return self._connections.keys()

    def unsent(self) -> int:
        """Total number of bytes waiting to be sent, over all sockets."""
        # Includes sockets of other namespaces if they share a session.
        sessions = {connection.session for connection in self._connections.values()}
        return sum(session.unsent for session in sessions)

    async def drained(self, socket_id: SocketId) -> None:
        """Wait until the backlog is small enough for a large answer, or the socket is gone."""
        connection = self._connections.get(socket_id)
        if connection is not None:
            await connection.session.wait_drained()

    def handshake(self, socket_id: SocketId) -> Handshake:
        connection = self._connections.get(socket_id)
        if connection is not None:
            return connection.handshake
        leaving = self._leaving.get(socket_id)
        return replace(leaving.handshake, is_connected=False) if leaving else Handshake(is_connected=False)

    def disconnect(self, socket_id: SocketId) -> bool:
        """Remove a socket from its channels. Its handshake stays until ``forget``. Returns False if it is
        unknown.
        """
        connection = self._connections.pop(socket_id, None)
        if connection is None:
            return False
        for channel in connection.channels:
            self._remove(connection, channel)
        connection.channels.clear()
        connection.session.unbind()
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
