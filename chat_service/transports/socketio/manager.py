"""The sockets of our own Socket.IO server, without what grows with their number."""

from collections.abc import Iterator
from typing import Any

from bidict import ValueDuplicationError
from socketio import AsyncManager


class Manager(AsyncManager):  # type: ignore[misc]
    """The stock manager makes a room for every socket, and looks through all rooms at each disconnect."""

    # Attributes of the stock class, which has no types.
    rooms: dict[str, dict[Any, Any]]
    server: Any
    pending_connect: dict[str, list[str]]

    async def pre_connect(self, eio_sid: str, namespace: str) -> str | None:
        sid: str = self.server.eio.generate_id()
        try:
            self.basic_enter_room(sid, namespace, None, eio_sid=eio_sid)
        except ValueDuplicationError:
            # Connected already.
            return None
        self.pending_connect.setdefault(namespace, []).append(sid)
        return sid

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        if isinstance(room, str) and self.is_sid_room(namespace, room):
            # The room of a socket, which is not there.
            yield room, self.rooms[namespace][None][room]
        elif isinstance(room, list | tuple):
            participants: dict[str, str] = {}
            for item in room:
                participants.update(self.get_participants(namespace, item))
            yield from participants.items()
        else:
            yield from super().get_participants(namespace, room)

    def get_rooms(self, sid: str, namespace: str) -> list[Any]:
        rooms: list[Any] = super().get_rooms(sid, namespace)
        return [sid, *rooms] if self.is_sid_room(namespace, sid) else rooms
