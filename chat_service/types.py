"""Names and ids that must not be mixed up, and the shape of a message."""

from typing import Any, NewType

UserName = NewType("UserName", str)
RoomName = NewType("RoomName", str)
SocketId = NewType("SocketId", str)
InstanceId = NewType("InstanceId", str)

#: A group of local sockets that share deliveries: a room's name, or ``user_channel(name)``.
Channel = NewType("Channel", str)

#: Any value that a packet can carry: JSON values, and ``bytes`` anywhere inside.
Value = Any

#: A chat message, a mapping with the fields ``id``, ``timestamp`` and ``author`` set by the server.
Message = dict[str, Any]

#: Names of the access lists of a room, and of a user (protocol.md, Commands).
ROOM_LISTS = frozenset({"adminlist", "blacklist", "whitelist"})
DIRECT_LISTS = frozenset({"blacklist", "whitelist"})
#: The read-only list of the users who are joined.
USERLIST = "userlist"


def user_channel(user_name: str) -> Channel:
    """Return the channel of all sockets of one user.

    It cannot collide with a room's channel, since names hold no ``:``.
    """
    return Channel("user:" + user_name)


def room_channel(room_name: str) -> Channel:
    """Return the channel of the sockets that are joined to a room."""
    return Channel(room_name)
