"""The sockets of the namespace and their channels, and sending packets to them."""

from collections.abc import Collection, Sequence
from typing import Any

from chat_service.transports.network.channels import Channels, Connection, split
from chat_service.transports.network.lines import Outbox
from chat_service.transports.socketio.encoding import Encoder, Outgoing
from chat_service.types import Channel, SocketId


class SocketIOChannels(Channels):
    """Encodes each event once. Frames go to the outbox, packets to Engine.IO sessions.

    All packets to a session take the same path, including acks and pings, so their order is kept.
    """

    def use(self, encoder: Encoder, outbox: Outbox | None) -> None:
        """Set the encoder and the outbox."""
        self._encoder = encoder
        # Only sockets with a sink need it, and sockets of a caller's server do not have one.
        self._outbox = outbox or Outbox()

    def emit(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        connection = self._connections.get(socket_id)
        if connection is not None:
            self.deliveries += 1
            self._send_to(connection, self._encoder.event(event, args))

    def ack(self, connection: Connection, number: int, values: Sequence[Any]) -> None:
        """Send the ack for the event with this number."""
        sink = connection.sink
        frame = (
            self._encoder.ack_frame(number, values) if sink is not None and not sink.is_compressed else None
        )
        if sink is None or frame is None:
            self._send_to(connection, self._encoder.ack(number, values), is_answer=True)
            return
        sink.allow(len(frame))
        self._outbox.put(sink, frame)

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
            sinks, compressed, queued = split(to)
        else:
            sinks, compressed, queued = members.groups or members.split()
        self.broadcasts += 1
        if not (compressed or queued):
            # By far the most common case.
            frame = self._encoder.event_frame(event, args)
            if frame is not None:
                self.deliveries += len(sinks)
                self._outbox.put_all(sinks, frame)
                return
        self.deliveries += len(sinks) + len(compressed) + len(queued)
        outgoing = self._encoder.event(event, args)
        if sinks:
            self._outbox.put_all(sinks, outgoing.frame)
        if compressed:
            self._outbox.put_all(compressed, outgoing.compressed_frame)
        for connection in queued:
            connection.session.send_all(outgoing.packets)

    def _send_to(self, connection: Connection, outgoing: Outgoing, *, is_answer: bool = False) -> None:
        sink = connection.sink
        if sink is None:
            connection.session.send_all(outgoing.packets, is_answer=is_answer)
            return
        frame = outgoing.compressed_frame if sink.is_compressed else outgoing.frame
        if is_answer:
            sink.allow(len(frame))
        self._outbox.put(sink, frame)
