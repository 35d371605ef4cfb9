"""Listeners to rooms besides the sockets: they hear what the bus brings, in the order of the bus."""

from collections.abc import Callable
from typing import Protocol

from chat_service.contracts.bus import Notify, RoomEvent, Topic, TopicKind
from chat_service.domain.interest import Interest
from chat_service.types import RoomName


class Tap(Protocol):
    """A listener to one room. Its methods return at once and do not raise."""

    def hear(self, event: RoomEvent | Notify) -> None:
        """Something came on the room's topic. Events may be missing, or come again."""
        ...

    def interrupt(self) -> None:
        """The subscription was lost and is there again: anything may have been missed."""
        ...


class Taps:
    """The listeners of this instance by their rooms."""

    def __init__(self, interest: Interest) -> None:
        self._interest = interest
        self.by_room: dict[RoomName, list[Tap]] = {}

    async def open(self, room: RoomName, tap: Tap) -> None:
        """Let a listener hear a room: on return, it hears everything that is published from now on."""
        self.by_room.setdefault(room, []).append(tap)
        try:
            await self._interest.acquire(Topic(TopicKind.ROOM, room))
        except BaseException:
            self._forget(room, tap)
            raise

    async def close(self, room: RoomName, tap: Tap) -> None:
        """Undo one ``open``."""
        self._forget(room, tap)
        await self._interest.release(Topic(TopicKind.ROOM, room))

    def hear(self, room: RoomName, event: RoomEvent | Notify) -> None:
        """Tell the listeners of a room."""
        self._each(room, lambda tap: tap.hear(event))

    def interrupt(self, room: RoomName) -> None:
        """Tell the listeners of a room that they may have missed anything."""
        self._each(room, lambda tap: tap.interrupt())

    def _each(self, room: RoomName, tell: Callable[[Tap], None]) -> None:
        for tap in self.by_room.get(room, ()):
            tell(tap)

    def _forget(self, room: RoomName, tap: Tap) -> None:
        taps = self.by_room[room]
        taps.remove(tap)
        if not taps:
            del self.by_room[room]
