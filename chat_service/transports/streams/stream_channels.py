"""The sockets of a stream transport and their channels: each event is encoded once per dialect."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from chat_service.transports.network.channels import Channels, Connection, split
from chat_service.transports.network.lines import Outbox
from chat_service.transports.streams.dialect import EACH, Dialect
from chat_service.transports.streams.stream_connection import StreamConnection
from chat_service.types import Channel, SocketId

#: A frame of a dialect as bytes on the wire.
Frame = Callable[[bytes], bytes]


class StreamChannels(Channels):
    """Channels whose events are encoded by a dialect."""

    def __init__(self, dialect: Dialect, outbox: Outbox, frame: Frame, compressed_frame: Frame) -> None:
        """``frame``, ``compressed_frame``: make the bytes on the wire; the latter for clients that accept
        compressed messages.
        """
        super().__init__()
        self._dialect = dialect
        self._outbox = outbox
        self._frame = frame
        self._compressed_frame = compressed_frame
        #: The connections of all sockets.
        self._streams: dict[SocketId, StreamConnection] = {}

    def add_stream(self, stream: StreamConnection, connection: Connection) -> None:
        """A socket is connected. ``connection``: the result of ``add``."""
        self._streams[stream.socket_id] = stream
        sink = stream.line.sink
        if sink is not None:
            self.set_sink(connection, sink)

    def stream(self, socket_id: SocketId) -> StreamConnection | None:
        """The connection of a socket."""
        return self._streams.get(socket_id)

    def disconnect(self, socket_id: SocketId) -> bool:
        """Remove a socket from its channels."""
        self._streams.pop(socket_id, None)
        return super().disconnect(socket_id)

    def emit(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        stream = self._streams.get(socket_id)
        if stream is None:
            return
        made = self._dialect.event(event, args)
        if made is EACH:
            self.deliveries += 1
            stream.perform(stream.conversation.event, event, args)
        elif made is not None:
            self.deliveries += 1
            self.write(stream, made)

    def broadcast(
        self, channel: Channel, event: str, args: Sequence[Any], exclude: Collection[SocketId]
    ) -> None:
        members = self._channels.get(channel)
        if members is None:
            return
        to: Collection[Connection] = members.connections
        if exclude:
            to = [connection for connection in to if connection.socket_id not in exclude]
        made = self._dialect.event(event, args) if to else None
        if made is None:
            return
        self.broadcasts += 1
        self.deliveries += len(to)
        if made is EACH:
            for connection in tuple(to):
                stream = self._streams.get(connection.socket_id)
                if stream is not None:
                    stream.perform(stream.conversation.event, event, args)
            return
        sinks, compressed, queued = split(to) if exclude else members.split()
        if sinks:
            self._outbox.put_all(sinks, self._frame(made))
        if compressed:
            self._outbox.put_all(compressed, self._compressed_frame(made))
        if queued:
            text = (made.decode(),)
            for connection in queued:
                connection.session.send_all(text)

    def write(self, stream: StreamConnection, data: bytes, *, is_answer: bool = False) -> None:
        """Send a frame to one connection, which need not be logged in."""
        sink = stream.line.sink
        if sink is None:
            stream.line.send(data.decode(), is_answer=is_answer)
            return
        frame = self._compressed_frame(data) if sink.is_compressed else self._frame(data)
        if is_answer:
            sink.allow(len(frame))
        self._outbox.put(sink, frame)
