"""The rooms that this instance serves: their feeds, and the channels that deliver events to sockets."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, Protocol

from chat_service.contracts.bus import Bus, Notify, RoomCursor, RoomEvent, Topic, TopicKind
from chat_service.contracts.transport import Transport
from chat_service.domain.decisions import DecidedJoin, Gap, Missed, StateGap
from chat_service.domain.feed import RoomFeed
from chat_service.domain.interest import Interest, Taps
from chat_service.interactions import Folds
from chat_service.types import Message, RoomName, SocketId, UserName, room_channel

#: Access to a member of an enum is slow (Python 3.11).
ROOM: Final = TopicKind.ROOM
#: The event of a notification that is not kept for sockets whose join is not answered yet.
EPHEMERAL: Final = "roomEvent"


class Screen(Protocol):
    """Decides, by the application's hook, which messages of rooms each recipient gets."""

    def waiting(self, room: RoomName) -> Collection[SocketId]:
        """The sockets for which events of the room wait."""
        ...

    def message(self, room: RoomName, socket_id: SocketId, args: Sequence[Any]) -> None:
        """Send a socket what is decided about a message, after everything that waits for it."""
        ...

    def event(self, room: RoomName, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        """Send a socket another event of the room, after everything that waits for it."""
        ...

    def forget(self, room: RoomName, socket_id: SocketId) -> None:
        """The socket is no longer joined."""
        ...

    async def history(
        self,
        user: UserName,
        socket_id: SocketId,
        room: RoomName,
        messages: Sequence[Message],
        folds: Folds | None,
    ) -> list[Message]:
        """The messages of a history that a socket gets. ``folds``: to fold them afterwards."""
        ...


class Delivery:
    """Subscribes to the rooms that have sockets here, and delivers what their feeds decide."""

    def __init__(self, transport: Transport, bus: Callable[[], Bus]) -> None:
        self._transport = transport
        self.interest = Interest(bus)
        #: Other listeners to rooms on this instance.
        self.taps = Taps(self.interest)
        #: None: all recipients get the same.
        self.screen: Screen | None = None
        self._feeds: dict[RoomName, RoomFeed] = {}
        #: The feed of a room served here, or None.
        self.feed: Callable[[RoomName], RoomFeed | None] = self._feeds.get

    def rooms(self) -> list[RoomName]:
        """The rooms that this instance serves."""
        return list(self._feeds)

    # Joining and leaving

    async def begin_join(self, room: RoomName, socket_id: SocketId) -> None:
        """Start to receive the room's events, before the store is asked to join the socket."""
        await self.interest.acquire(Topic(ROOM, room))
        feed = self._feeds.get(room)
        if feed is None:
            feed = self._feeds[room] = RoomFeed()
        feed.audience.ask(socket_id)

    def decide_join(
        self, room: RoomName, socket_id: SocketId, user: UserName, join: DecidedJoin
    ) -> RoomCursor | None:
        """The store has joined the socket. Returns the position at which access was lost again, if it was.

        Raises what the transport raises; then nothing is changed, and the join can be aborted.
        """
        self._transport.join_channel(socket_id, room_channel(room))
        lost_at = self._feeds[room].decide_join(socket_id, user, join)
        if lost_at is not None:
            self._transport.leave_channel(socket_id, room_channel(room))
        return lost_at

    def has_kept(self, room: RoomName, socket_id: SocketId) -> bool:
        """Whether events wait until the client knows of its join."""
        feed = self._feeds.get(room)
        return feed is not None and feed.audience.has_kept(socket_id)

    def answer_join(self, room: RoomName, socket_id: SocketId) -> None:
        """The client knows of its join: deliver the events since then."""
        feed = self._feeds.get(room)
        for item in feed.answer_join(socket_id) if feed else ():
            if isinstance(item, Gap | StateGap):
                self._tell_gap(room, socket_id, item)
                continue
            if isinstance(item, RoomEvent):
                for user in item.announced:
                    self._emit(room, socket_id, "roomUserLeft", (room, user))
            if not item.event or socket_id in item.exclude:
                continue
            if self.screen is not None and isinstance(item, RoomEvent) and item.is_message:
                self.screen.message(room, socket_id, item.args)
            else:
                self._emit(room, socket_id, item.event, item.args)

    def repeat_join(self, room: RoomName, socket_id: SocketId) -> int | None:
        """A joined socket asked for its position: hold back events until ``answer_join``.

        Returns the id of the last message before that, None if the socket is not joined here.
        """
        feed = self._feeds.get(room)
        return None if feed is None else feed.repeat_join(socket_id)

    async def abort_join(self, room: RoomName, socket_id: SocketId) -> None:
        """The join that was begun is cancelled."""
        self._feeds[room].audience.take_asked(socket_id)
        await self.release(room)

    async def leave(self, room: RoomName, socket_id: SocketId) -> None:
        """Stop delivering events of the room to the socket. Undoes one ``begin_join``."""
        try:
            self.silence(room, socket_id)
        finally:
            await self.release(room)

    def silence(self, room: RoomName, socket_id: SocketId) -> None:
        """Stop delivering events of the room to the socket. Its ``leave`` follows."""
        feed = self._feeds.get(room)
        if feed is not None and feed.forget(socket_id):
            self._transport.leave_channel(socket_id, room_channel(room))
        if self.screen is not None:
            self.screen.forget(room, socket_id)

    def silence_all(
        self, room: RoomName, socket_ids: Collection[SocketId], failed: Callable[[SocketId, Exception], None]
    ) -> Collection[SocketId]:
        """``silence`` for many. Returns those whose clients have not been told of their joins yet.

        ``failed`` is called with what the transport raises.
        """
        feed = self._feeds.get(room)
        if feed is None:
            return ()
        joined, unanswered = feed.forget_all(socket_ids)
        if self.screen is not None:
            for socket_id in socket_ids:
                self.screen.forget(room, socket_id)
        leave, channel = self._transport.leave_channel, room_channel(room)
        for socket_id in joined:
            try:
                leave(socket_id, channel)
            except Exception as error:
                failed(socket_id, error)
        return unanswered

    async def release(self, room: RoomName) -> None:
        """Undo one ``begin_join``: one socket less needs the room."""
        feed = self._feeds.get(room)
        if feed is not None and feed.audience.is_empty:
            del self._feeds[room]
        await self.interest.release(Topic(ROOM, room))

    # Delivering

    def give(self, room: RoomName, event: RoomEvent, deaf: Collection[SocketId]) -> None:
        """Deliver an event to the joined sockets that may get it now."""
        if self.screen is not None:
            self._give_each(self.screen, room, event, deaf)
            return
        channel = room_channel(room)
        for user in event.announced:
            self._transport.broadcast(channel, "roomUserLeft", (room, user), deaf)
        if event.event:
            exclude = {*event.exclude, *deaf} if deaf else event.exclude
            self._transport.broadcast(channel, event.event, event.args, exclude)

    def _give_each(
        self, screen: Screen, room: RoomName, event: RoomEvent, deaf: Collection[SocketId]
    ) -> None:
        for user in event.announced:
            self._broadcast(room, "roomUserLeft", (room, user), deaf)
        if not event.is_message:
            if event.event:
                self._broadcast(room, event.event, event.args, {*event.exclude, *deaf})
            return
        feed = self._feeds.get(room)
        for socket_id in () if feed is None else feed.audience.hearing():
            if socket_id not in event.exclude:
                screen.message(room, socket_id, event.args)

    def _broadcast(
        self, room: RoomName, event: str, args: Sequence[Any], exclude: Collection[SocketId]
    ) -> None:
        """Send an event to the joined sockets; where messages wait, behind them."""
        waiting = () if self.screen is None else tuple(self.screen.waiting(room))
        if self.screen is not None and waiting:
            for socket_id in waiting:
                if socket_id not in exclude:
                    self.screen.event(room, socket_id, event, args)
            exclude = {*exclude, *waiting}
        self._transport.broadcast(room_channel(room), event, args, exclude)

    def _emit(self, room: RoomName, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        if self.screen is None:
            self._transport.emit(socket_id, event, args)
        else:
            self.screen.event(room, socket_id, event, args)

    def tell_missed(self, room: RoomName, missed: Missed) -> None:
        """Tell sockets which events they will never get."""
        for socket_id, gap in missed.gaps.items():
            self._tell_gap(room, socket_id, gap)

    def _tell_gap(self, room: RoomName, socket_id: SocketId, gap: Gap | StateGap) -> None:
        if isinstance(gap, StateGap):
            self._emit(room, socket_id, "roomStateGap", (room,))
        else:
            told = {"epoch": gap.epoch, "from": gap.first, "to": gap.last}
            self._emit(room, socket_id, "roomHistoryGap", (room, told))

    def notify(self, room: RoomName, notice: Notify) -> None:
        """Deliver a notification that is not an event of the room to the joined sockets."""
        feed = self._feeds.get(room)
        later: Collection[SocketId] = ()
        if feed is not None:
            is_ephemeral = notice.event == EPHEMERAL
            later = feed.audience.unanswered() if is_ephemeral else feed.audience.notify(notice)
        exclude = {*notice.exclude, *later} if later else notice.exclude
        if self.screen is not None:
            self._broadcast(room, notice.event, notice.args, exclude)
            return
        self._transport.broadcast(room_channel(room), notice.event, notice.args, exclude)
