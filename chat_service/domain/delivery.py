"""From the bus to the sockets of this instance: what each envelope means here."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from chat_service.concurrency.running import RunningWork
from chat_service.contracts.bus import (
    ApplicationEvent,
    Bus,
    DisconnectSocket,
    DisconnectUser,
    Envelope,
    Notify,
    Reply,
    Request,
    RoomCursor,
    RoomEvent,
    Topic,
    TopicKind,
)
from chat_service.contracts.transport import Transport
from chat_service.domain.emitter import EventEmitter
from chat_service.domain.feed import RoomFeed, Verdict
from chat_service.domain.interest import Interest
from chat_service.domain.remote import RemoteCalls
from chat_service.domain.sessions import Sessions
from chat_service.types import Channel, RoomName, SocketId, UserName, room_channel, user_channel

logger = logging.getLogger("chat_service")

#: Called when a socket lost its access: room, user, socket, and where in the room's events that was.
RemovalListener = Callable[[RoomName, UserName, SocketId, RoomCursor], None]


@dataclass(slots=True)
class ServedRoom:
    """A room with sockets on this instance."""

    feed: RoomFeed
    #: The sockets that hear the room's broadcasts.
    sockets: set[SocketId] = field(default_factory=set)


class Delivery:
    """Receives the envelopes of this instance's topics, and hands them to sockets, callers or listeners."""

    def __init__(
        self,
        *,
        transport: Transport,
        sessions: Sessions,
        bus: Callable[[], Bus],
        running: RunningWork,
        application_events: EventEmitter,
        remote: RemoteCalls,
    ) -> None:
        self._transport = transport
        self._sessions = sessions
        self._running = running
        self._application_events = application_events
        self._remote = remote
        self.interest = Interest(bus)
        self._rooms: dict[RoomName, ServedRoom] = {}
        #: Set by membership, which stands above.
        self.on_removed: RemovalListener = lambda room, user, socket_id, cursor: None
        #: Set by catch-up: fills what a feed missed, and ends its holding.
        self.on_gap: Callable[[RoomName, RoomFeed], None] = lambda room, feed: None
        #: Set by the composition: the store may have lost what it knew of users.
        self.on_user_interruption: Callable[[], None] = lambda: None
        #: Set by the lease: whether the others still take this instance for alive.
        self.is_alive: Callable[[], bool] = lambda: True
        #: Subscriptions that were lost and came back.
        self.interruptions = 0
        # What came while that was not sure.
        self._unsure: list[tuple[Topic, Envelope]] = []

    # Rooms of this instance

    async def begin_join(self, room: RoomName, socket_id: SocketId) -> None:
        """Hear the room from now on, before the store is asked to join the socket."""
        await self.interest.acquire(Topic(TopicKind.ROOM, room))
        served = self._rooms.get(room)
        if served is None:
            served = self._rooms[room] = self._serve(room)
        served.feed.begin_join(socket_id)

    def complete_join(
        self, room: RoomName, socket_id: SocketId, cursor: RoomCursor, last_message_id: int
    ) -> None:
        """The store joined the socket at ``cursor``; it gets all that follows."""
        feed = self._rooms[room].feed
        session = self._sessions.get(socket_id)
        if feed.is_over(cursor) and session is not None and session.user is not None:
            # The room was deleted before the answer came.
            feed.abort_join(socket_id)
            self._transport.emit(socket_id, "roomAccessRemoved", (room,))
            after_join = RoomCursor(epoch=cursor.epoch, seq=cursor.seq + 1)
            self.on_removed(room, session.user, socket_id, after_join)
            return
        feed.complete_join(socket_id, cursor, last_message_id)

    async def abort_join(self, room: RoomName, socket_id: SocketId) -> None:
        """The join that was begun does not take place."""
        self._rooms[room].feed.abort_join(socket_id)
        await self.release(room)

    async def leave(self, room: RoomName, socket_id: SocketId) -> None:
        """The socket hears the room no more. Undoes one ``begin_join``."""
        try:
            served = self._rooms.get(room)
            if served is not None:
                served.feed.forget(socket_id)
                self._expel(room, served, socket_id)
        finally:
            await self.release(room)

    def _serve(self, room: RoomName) -> ServedRoom:
        feed = RoomFeed(
            admit=lambda socket_id: self._admit(room, socket_id),
            dismiss=lambda socket_id: self._expel(room, self._rooms[room], socket_id),
            replay=lambda socket_id, event: self._replay(room, socket_id, event),
            broadcast=lambda event: self._broadcast(room, event),
        )
        return ServedRoom(feed)

    async def release(self, room: RoomName) -> None:
        """Undo one ``begin_join``: one socket less hears the room."""
        served = self._rooms.get(room)
        if served is not None and not served.sockets and not served.feed.has_joins:
            del self._rooms[room]
        await self.interest.release(Topic(TopicKind.ROOM, room))

    def _admit(self, room: RoomName, socket_id: SocketId) -> None:
        self._rooms[room].sockets.add(socket_id)
        self._transport.join_channel(socket_id, room_channel(room))

    def _expel(self, room: RoomName, served: ServedRoom, socket_id: SocketId) -> None:
        served.sockets.discard(socket_id)
        self._transport.leave_channel(socket_id, room_channel(room))

    def expel(self, room: RoomName, socket_id: SocketId) -> None:
        """Take a socket that lost its access out of the room, and tell it."""
        served = self._rooms.get(room)
        if served is None or socket_id not in served.sockets:
            return
        self._expel(room, served, socket_id)
        self._transport.emit(socket_id, "roomAccessRemoved", (room,))

    def serves(self, room: RoomName, feed: RoomFeed) -> bool:
        """Whether this is the feed of the room, not of an earlier time when the room was served here."""
        served = self._rooms.get(room)
        return served is not None and served.feed is feed

    def room_sockets(self, room: RoomName) -> list[SocketId]:
        """The sockets of this instance that hear the room."""
        served = self._rooms.get(room)
        return list(served.sockets) if served else []

    def rooms(self) -> list[RoomName]:
        """The rooms that this instance serves."""
        return list(self._rooms)

    # Events of rooms

    def _broadcast(self, room: RoomName, event: RoomEvent) -> None:
        for user in event.removed:
            # All that the user has here, not only those that the event names: the room forgot the sockets if
            # this instance was taken for dead.
            for session in self._sessions.of_user(user):
                if room in session.rooms:
                    self.expel(room, session.socket_id)
                    self.on_removed(room, user, session.socket_id, event.cursor)
        for user in event.announced:
            self._transport.broadcast(room_channel(room), "roomUserLeft", (room, user))
        if event.event:
            self._transport.broadcast(room_channel(room), event.event, event.args, event.exclude)

    def _replay(self, room: RoomName, socket_id: SocketId, event: RoomEvent) -> None:
        served = self._rooms[room]
        session = self._sessions.get(socket_id)
        if session is not None and session.user is not None and session.user in event.removed:
            self.expel(room, socket_id)
            self.on_removed(room, session.user, socket_id, event.cursor)
        if socket_id not in served.sockets:
            return
        for user in event.announced:
            self._transport.emit(socket_id, "roomUserLeft", (room, user))
        if event.event and socket_id not in event.exclude:
            self._transport.emit(socket_id, event.event, event.args)

    def _on_room_event(self, room: RoomName, event: RoomEvent) -> None:
        served = self._rooms.get(room)
        if served is None:
            return
        feed = served.feed
        if feed.held is not None:
            feed.held.append(event)
            return
        verdict = feed.judge(event)
        if verdict is Verdict.NEXT:
            feed.apply(event)
        elif verdict is Verdict.SEEN:
            feed.pass_over(event)
        else:
            feed.held = [event]
            self.on_gap(room, feed)

    # All envelopes

    def on_envelope(self, topic: Topic, envelope: Envelope) -> None:
        """Part of ``BusListener``."""
        is_for_sockets = topic.kind is TopicKind.ROOM or topic.kind is TopicKind.USER
        if is_for_sockets and (self._unsure or not self.is_alive()):
            # After a pause: the sockets may have been removed from everything meanwhile.
            self._unsure.append((topic, envelope))
            return
        if envelope.__class__ is RoomEvent:
            self._on_room_event(RoomName(topic.name), envelope)
        else:
            self._deliver(topic, envelope)

    def deliver_unsure(self) -> None:
        """Deliver what came while it was not sure that this instance is alive; it is now, or all sockets that
        it had then are disconnected."""
        unsure, self._unsure = self._unsure, []
        for topic, envelope in unsure:
            self._deliver(topic, envelope)

    def _deliver(self, topic: Topic, envelope: Envelope) -> None:
        match envelope:
            case RoomEvent():
                self._on_room_event(RoomName(topic.name), envelope)
            case Notify():
                self._notify(topic, envelope)
            case DisconnectUser():
                for session in self._sessions.of_user(UserName(topic.name)):
                    self._disconnect(session.socket_id)
            case DisconnectSocket(socket_id=socket_id):
                if self._transport.is_connected(socket_id):
                    self._disconnect(socket_id)
            case Request():
                self._running.spawn(self._remote.serve(envelope), f"request {envelope.operation}")
            case Reply():
                self._remote.resolve(envelope)
            case ApplicationEvent():
                self._application_events.emit(envelope.event, *envelope.args)

    def _notify(self, topic: Topic, envelope: Notify) -> None:
        channel = _channel(topic)
        if channel is None:
            return
        self._transport.broadcast(channel, envelope.event, envelope.args, envelope.exclude)
        served = self._rooms.get(RoomName(topic.name)) if topic.kind is TopicKind.ROOM else None
        for socket_id in served.feed.joined_ahead() if served else ():
            if socket_id not in envelope.exclude:
                self._transport.emit(socket_id, envelope.event, envelope.args)

    def on_interruption(self, topic: Topic) -> None:
        """Part of ``BusListener``."""
        self.interruptions += 1
        if topic.kind is TopicKind.USER:
            self.on_user_interruption()
        if topic.kind is not TopicKind.ROOM:
            return
        room = RoomName(topic.name)
        served = self._rooms.get(room)
        if served is not None and served.feed.interrupt():
            self.on_gap(room, served.feed)

    def _disconnect(self, socket_id: SocketId) -> None:
        self._running.spawn(self._transport.disconnect(socket_id), "disconnect")


def _channel(topic: Topic) -> Channel | None:
    if topic.kind is TopicKind.USER:
        return user_channel(topic.name)
    return room_channel(RoomName(topic.name)) if topic.kind is TopicKind.ROOM else None
