"""The notifications: events that the server sends to clients, one row each (protocol.md, Notifications)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notification:
    """An event sent to clients. ``arguments``: pairs of name and TypeScript type."""

    name: str
    arguments: tuple[tuple[str, str], ...]
    sent_to: str
    doc: str


_ECHO = (("id", "string"), ("nconnected", "number"))
_ROOM_ECHO = (("roomName", "string"), ("id", "string"), ("njoined", "number"))
_ROOM_USER = (("roomName", "string"), ("userName", "string"))
_ROOM_LIST = (("roomName", "string"), ("listName", "string"), ("userNames", "string[]"))
_USER = "the user's other sockets"
_ROOM = "the room"

NOTIFICATIONS: tuple[Notification, ...] = (
    Notification(
        "loginConfirmed",
        (("userName", "string"), ("authData", "AuthData")),
        "the connecting socket",
        "The login succeeded; `authData.id` is the socket id.",
    ),
    Notification(
        "loginRejected",
        (("error", "ChatError"),),
        "the connecting socket",
        "The login failed; the server disconnects the socket next.",
    ),
    Notification(
        "loginExpiring",
        (("seconds", "number"),),
        "the socket whose login is about to end",
        "The login ends in so many seconds; `loginRefresh` renews it.",
    ),
    Notification("socketConnectEcho", _ECHO, _USER, "Another socket of this user has connected."),
    Notification("socketDisconnectEcho", _ECHO, _USER, "Another socket of this user has disconnected."),
    Notification(
        "roomJoinedEcho",
        _ROOM_ECHO,
        _USER + "; all of them if the server made the call",
        "A socket of this user has joined a room.",
    ),
    Notification(
        "roomLeftEcho",
        _ROOM_ECHO,
        _USER + "; all of them if the server made the call",
        "A socket of this user has left a room, possibly by disconnecting.",
    ),
    Notification(
        "roomUserJoined",
        _ROOM_USER,
        _ROOM + ", if `enableUserlistUpdates` is on",
        "A user has joined with their first socket.",
    ),
    Notification(
        "roomUserLeft",
        _ROOM_USER,
        _ROOM + ", if `enableUserlistUpdates` is on",
        "A user's last socket has left the room.",
    ),
    Notification(
        "roomMemberUpdated",
        (("roomName", "string"), ("userName", "string"), ("details", "unknown")),
        _ROOM + ", if `enableUserlistUpdates` is on",
        "A user has set the details of one of their sockets; null if they were removed.",
    ),
    Notification(
        "roomAccessListAdded",
        _ROOM_LIST,
        _ROOM + ", if `enableAccessListsUpdates` is on",
        "Names were added to an access list. It has only those that were not in the list before.",
    ),
    Notification(
        "roomAccessListRemoved",
        _ROOM_LIST,
        _ROOM + ", if `enableAccessListsUpdates` is on",
        "Names were removed from an access list. It has only those that were in the list.",
    ),
    Notification(
        "roomModeChanged",
        (("roomName", "string"), ("mode", "boolean")),
        _ROOM + ", if `enableAccessListsUpdates` is on",
        "The whitelist mode was set.",
    ),
    Notification(
        "roomAccessRemoved",
        (("roomName", "string"),),
        "all sockets of a user who lost access",
        "This user was removed from the room.",
    ),
    Notification(
        "roomMessage",
        (("roomName", "string"), ("message", "StoredMessage")),
        _ROOM,
        "A message in the room. Messages arrive in the order of their ids. One that the application hides "
        "from the recipient is `{id, timestamp, hidden: true}`.",
    ),
    Notification(
        "roomEvent",
        (("roomName", "string"), ("event", "EphemeralEvent")),
        _ROOM + ", except the sender's socket",
        "An event that is stored nowhere, such as a user typing. It may be lost.",
    ),
    Notification(
        "roomReadEcho",
        (("roomName", "string"), ("id", "number")),
        _USER + "; all of them if the server made the call",
        "This user has read a room up to this message.",
    ),
    Notification(
        "roomHistoryGap",
        (("roomName", "string"), ("gap", "HistoryGap")),
        "joined sockets that missed messages for ever",
        "The messages from one id to another never reached this socket and are no longer in the history. "
        "Sent before the next message.",
    ),
    Notification(
        "roomStateGap",
        (("roomName", "string"),),
        "joined sockets that may have missed notifications",
        "Notifications about members, lists or the mode may be missing: read them again.",
    ),
    Notification(
        "directMessage", (("message", "SentMessage"),), "all sockets of the recipient", "A direct message."
    ),
    Notification(
        "directMessageEcho",
        (("toUser", "string"), ("message", "SentMessage")),
        _USER,
        "Another socket of this user sent a direct message.",
    ),
    Notification(
        "directOpened",
        _ROOM_USER,
        "all sockets of a user into whose list it comes, except the one that opened it",
        "A conversation with `userName` has been opened; its room can be joined.",
    ),
    Notification("systemMessage", (("data", "unknown"),), _USER, "Data from another socket of this user."),
)
