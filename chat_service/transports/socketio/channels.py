"""The sockets of the namespace, the channels that they are in, and what is sent to them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engineio import packet as engine_packet
from socketio.packet import EVENT

from chat_service.transports.base import Handshake
from chat_service.types import Channel, SocketId


@dataclass(slots=True, eq=False)
class Connection:
    """A socket of the namespace."""

    handshake: Handshake
    channels: set[Channel] = field(default_factory=set)


class Channels:
    """Encodes once per event, and puts packets into the queues of Engine.IO sessions.

    Every packet takes the way through the session's queue, acks and pings too, so their order holds.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._server: Any = None
        self._connections: dict[SocketId, Connection] = {}
        #: Sockets that are gone, while their disconnect is being handled.
        self._leaving: dict[SocketId, Connection] = {}
        self._channels: dict[Channel, set[SocketId]] = {}
        #: Events that were sent to channels, and handed to sockets.
        self.broadcasts = 0
        self.deliveries = 0

    def use(self, server: Any) -> None:
        """Say which Socket.IO server has the sockets."""
        self._server = server

    # Sockets

    def add(self, socket_id: SocketId, handshake: Handshake) -> None:
        self._connections[socket_id] = Connection(handshake)

    def is_connected(self, socket_id: SocketId) -> bool:
        return socket_id in self._connections

    def socket_ids(self) -> Collection[SocketId]:
        return self._connections.keys()

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
        for channel in tuple(connection.channels):
            self._remove(socket_id, channel)
        self._leaving[socket_id] = connection
        return True

    def forget(self, socket_id: SocketId) -> None:
        self._leaving.pop(socket_id, None)

    # Channels

    def join(self, socket_id: SocketId, channel: Channel) -> None:
        connection = self._connections.get(socket_id)
        if connection is not None:
            connection.channels.add(channel)
            self._channels.setdefault(channel, set()).add(socket_id)

    def leave(self, socket_id: SocketId, channel: Channel) -> None:
        connection = self._connections.get(socket_id)
        if connection is not None:
            connection.channels.discard(channel)
        self._remove(socket_id, channel)

    def _remove(self, socket_id: SocketId, channel: Channel) -> None:
        sockets = self._channels.get(channel)
        if sockets is not None:
            sockets.discard(socket_id)
            if not sockets:
                del self._channels[channel]

    # Sending

    def emit(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        if socket_id in self._connections:
            self.deliveries += 1
            self._send((socket_id,), event, args)

    def broadcast(
        self, channel: Channel, event: str, args: Sequence[Any], exclude: Collection[SocketId]
    ) -> None:
        sockets = self._channels.get(channel)
        if sockets:
            to = [socket_id for socket_id in sockets if socket_id not in exclude] if exclude else sockets
            self.broadcasts += 1
            self.deliveries += len(to)
            self._send(to, event, args)

    def _send(self, to: Iterable[SocketId], event: str, args: Sequence[Any]) -> None:
        packet = self._server.packet_class(EVENT, namespace=self._namespace, data=[event, *args])
        encoded = packet.encode()
        parts = encoded if isinstance(encoded, list) else [encoded]
        # Text can be shared; a binary packet keeps the form that its first reader's transport needs.
        shared = [engine_packet.Packet(engine_packet.MESSAGE, part) for part in parts]
        is_text = not any(part.binary for part in shared)
        sessions = self._server.eio.sockets
        find = self._server.manager.eio_sid_from_sid
        for socket_id in to:
            session = sessions.get(find(socket_id, self._namespace))
            if session is None or session.closed:
                continue
            put = session.queue.put_nowait
            for index, part in enumerate(parts):
                put(shared[index] if is_text else engine_packet.Packet(engine_packet.MESSAGE, part))
