"""Distinct types for names and ids, and the type of a message."""

from typing import Any, NewType

UserName = NewType("UserName", str)
RoomName = NewType("RoomName", str)
SocketId = NewType("SocketId", str)
InstanceId = NewType("InstanceId", str)

#: A group of local sockets that receive the same deliveries: a room's name, or ``user_channel(name)``.
Channel = NewType("Channel", str)

#: Any value that a packet can carry: a JSON value, possibly containing ``bytes``.
Value = Any

#: A chat message. The server sets the fields ``id``, ``timestamp`` and ``author``.
Message = dict[str, Any]

#: The access lists of a room and of a user (protocol.md, Commands).
ROOM_LISTS = frozenset({"adminlist", "blacklist", "whitelist"})
DIRECT_LISTS = frozenset({"blacklist", "whitelist"})
#: The read-only list of joined users.
USERLIST = "userlist"


def user_channel(user_name: str) -> Channel:
    """Return the channel of all sockets of one user.

    It cannot collide with a room's channel because names cannot contain ``:``.
    """
    return Channel("user:" + user_name)


#: The channel of all sockets of an instance whose login is confirmed. No room or user has such a name.
EVERYBODY = Channel("everybody:")


def room_channel(room_name: str) -> Channel:
    """Return the channel of the sockets joined to a room."""
    return Channel(room_name)
