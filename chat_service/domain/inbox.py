"""Handles envelopes from the bus for the sockets of this instance."""

import asyncio
from collections.abc import Sequence

from chat_service.contracts.bus import (
    ApplicationEvent,
    DisconnectSocket,
    DisconnectUser,
    Envelope,
    Notify,
    NotifySocket,
    Reply,
    Request,
    RoomEvent,
    Topic,
    TopicKind,
)
from chat_service.domain import catchup
from chat_service.domain.access_loss import access_lost, removed_by
from chat_service.domain.context import Context
from chat_service.domain.decisions import Given, Missed
from chat_service.domain.lease import Lease
from chat_service.domain.sessions import LoginState
from chat_service.types import EVERYBODY, RoomName, SocketId, UserName, user_channel

#: How many sockets of a user are disconnected in one turn of the event loop.
DISCONNECTED_AT_ONCE = 50

#: The topics of envelopes for sockets. Access to a member of an enum is slow (Python 3.11).
FOR_SOCKETS = (TopicKind.ROOM, TopicKind.USER)


class Inbox:
    """The ``BusListener`` of a service."""

    def __init__(self, context: Context, lease: Lease) -> None:
        self._context = context
        self._lease = lease

    def on_envelope(self, topic: Topic, envelope: Envelope) -> None:
        """Part of ``BusListener``."""
        if topic.kind in FOR_SOCKETS and not self._lease.is_valid():
            # If the process was paused, the sockets may have been removed from everything in the meantime.
            self._lease.when_valid(lambda: self._take(topic, envelope))
        elif envelope.__class__ is RoomEvent:
            self._take_event(RoomName(topic.name), envelope)
        else:
            self._take(topic, envelope)

    def on_interruption(self, topic: Topic) -> None:
        """Part of ``BusListener``."""
        context = self._context
        context.counters.interruptions += 1
        if topic.kind is TopicKind.USER:
            # The store may have lost its data about users.
            context.failures.suspect_leftovers()
            context.bans.check(UserName(topic.name))
        elif topic.kind is TopicKind.ROOM:
            room = RoomName(topic.name)
            context.delivery.taps.interrupt(room)
            feed = context.delivery.feed(room)
            if feed is not None and feed.interrupt():
                catchup.begin(context, room, feed, self._give)

    def _take(self, topic: Topic, envelope: Envelope) -> None:
        context = self._context
        match envelope:
            case RoomEvent():
                self._take_event(RoomName(topic.name), envelope)
            case Notify() if topic.kind is TopicKind.ROOM:
                context.delivery.taps.hear(RoomName(topic.name), envelope)
                context.delivery.notify(RoomName(topic.name), envelope)
            case Notify() if topic.kind is TopicKind.USER:
                channel = user_channel(topic.name)
                context.transport.broadcast(channel, envelope.event, envelope.args, envelope.exclude)
            case Notify() if topic.kind is TopicKind.EVERYONE:
                context.transport.broadcast(EVERYBODY, envelope.event, envelope.args, envelope.exclude)
            case NotifySocket():
                self._notify_socket(topic, envelope)
            case DisconnectUser():
                found = [session.socket_id for session in context.sessions.of_user(UserName(topic.name))]
                if len(found) <= DISCONNECTED_AT_ONCE:
                    for socket_id in found:
                        self._disconnect(socket_id)
                else:
                    context.running.spawn(self._disconnect_in_slices(found), "disconnects")
            case DisconnectSocket(socket_id=socket_id):
                if context.transport.is_connected(socket_id):
                    self._disconnect(socket_id)
            case Request():
                context.running.spawn(context.remote.serve(envelope), f"request {envelope.operation}")
            case Reply():
                context.remote.resolve(envelope)
            case ApplicationEvent():
                context.application_events.emit(envelope.event, *envelope.args)

    async def _disconnect_in_slices(self, socket_ids: Sequence[SocketId]) -> None:
        for start in range(0, len(socket_ids), DISCONNECTED_AT_ONCE):
            if start:
                # Others get their turn.
                await asyncio.sleep(0)
            for socket_id in socket_ids[start : start + DISCONNECTED_AT_ONCE]:
                self._disconnect(socket_id)

    def _disconnect(self, socket_id: SocketId) -> None:
        self._context.running.spawn(self._context.transport.disconnect(socket_id), "disconnect")

    def _notify_socket(self, topic: Topic, notice: NotifySocket) -> None:
        session = self._context.sessions.get(notice.socket_id)
        if session is None or session.state is not LoginState.CONFIRMED:
            return
        if topic.kind is not TopicKind.USER or session.user == topic.name:
            self._context.transport.emit(notice.socket_id, notice.event, notice.args)

    # Events of rooms

    def _take_event(self, room: RoomName, event: RoomEvent) -> None:
        delivery = self._context.delivery
        if delivery.taps.by_room:
            delivery.taps.hear(room, event)
        feed = delivery.feed(room)
        if feed is None:
            return
        decision = feed.take(event)
        if decision.is_given:
            if event.removed or event.stayed is not None:
                access_lost(self._context, room, removed_by(self._context, room, event))
            self._context.delivery.give(room, event, decision.deaf)
        elif decision.is_gap:
            catchup.begin(self._context, room, feed, self._give)

    def _give(self, room: RoomName, given: Given | Missed) -> None:
        if isinstance(given, Missed):
            self._context.delivery.tell_missed(room, given)
            return
        event = given.event
        if event.removed or event.stayed is not None:
            access_lost(self._context, room, removed_by(self._context, room, event))
        self._context.delivery.give(room, event, given.deaf)
