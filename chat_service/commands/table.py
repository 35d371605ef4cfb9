"""The command table: one row per command. Validation, hook names, docs and client types are derived from
it.
"""

from chat_service.commands import administration as rooms
from chat_service.commands import direct, messages, sockets
from chat_service.commands.spec import Command, ExtraResult
from chat_service.protocol.arguments import (
    ANY_DATA,
    EPOCH,
    FLAG,
    IDEMPOTENCY_KEY,
    LIMIT,
    LIST_NAME,
    MESSAGE,
    MESSAGE_ID,
    MODE,
    ROOM_NAME,
    USER_NAME,
    USER_NAMES,
    Argument,
    CommandOption,
)

_LIST_NAME = Argument("listName", LIST_NAME)
_MESSAGE = Argument("message", MESSAGE)
_MODE = Argument("mode", MODE)
_ROOM_NAME = Argument("roomName", ROOM_NAME)
_USER_NAME = Argument("userName", USER_NAME)
_USER_NAMES = Argument("userNames", USER_NAMES)

_EPOCH = CommandOption("epoch", FLAG, "true: the ack also has the epoch that the messages belong to")
_EPOCH_RESULT = ExtraResult(
    name="epoch",
    type="string",
    doc="the epoch of the messages, with the option `epoch`",
)

_NOTHING = "nothing"
_READERS = "joined users and admins"
_READ_ERRORS = ("invalidName", "noRoom", "notJoined")
_LIST_EDITORS = (
    "the owner; admins, except for `adminlist` and for the owner's name; nobody may change `userlist`"
)

TABLE: tuple[Command, ...] = (
    Command(
        name="directAddToList",
        arguments=(_LIST_NAME, _USER_NAMES),
        result=_NOTHING,
        result_type="null",
        who="any user, for their own lists and other users' names",
        doc="Adds names to the caller's `blacklist` or `whitelist`.",
        errors=("banned", "invalidName", "listLimitExceeded", "noList", "notAllowed"),
        handler=direct.direct_add_to_list,
        needs_user=True,
    ),
    Command(
        name="directGetAccessList",
        arguments=(_LIST_NAME,),
        result="the names in the list",
        result_type="string[]",
        who="any user, for their own lists",
        doc="Returns the caller's `blacklist` or `whitelist`.",
        errors=("noList",),
        handler=direct.direct_get_access_list,
        needs_user=True,
    ),
    Command(
        name="directGetWhitelistMode",
        arguments=(),
        result="whether the whitelist alone gives access",
        result_type="boolean",
        who="any user, for themselves",
        doc="Returns the caller's mode for direct messages.",
        errors=(),
        handler=direct.direct_get_whitelist_mode,
        needs_user=True,
    ),
    Command(
        name="directMessage",
        arguments=(Argument("toUser", USER_NAME), _MESSAGE),
        result="the message as it was sent",
        result_type="SentMessage",
        who="users allowed by the recipient's lists, when `enable_direct_messages` is on",
        doc="Sends a message to all sockets of a user who is online. Nothing is stored.",
        errors=("banned", "invalidName", "messageTooLarge", "noUserOnline", "notAllowed"),
        handler=direct.direct_message,
        checker="direct_messages_checker",
    ),
    Command(
        name="directRemoveFromList",
        arguments=(_LIST_NAME, _USER_NAMES),
        result=_NOTHING,
        result_type="null",
        who="any user, for their own lists and other users' names",
        doc="Removes names from the caller's `blacklist` or `whitelist`.",
        errors=("banned", "invalidName", "listLimitExceeded", "noList", "notAllowed"),
        handler=direct.direct_remove_from_list,
        needs_user=True,
    ),
    Command(
        name="directSetWhitelistMode",
        arguments=(_MODE,),
        result=_NOTHING,
        result_type="null",
        who="any user, for themselves",
        doc="Sets the caller's mode for direct messages.",
        errors=("banned",),
        handler=direct.direct_set_whitelist_mode,
        needs_user=True,
    ),
    Command(
        name="listOwnSockets",
        arguments=(),
        result="the rooms of each of the user's sockets, on all instances",
        result_type="Record<string, string[]>",
        who="any user, for themselves",
        doc="Lists the caller's sockets, each with the rooms it has joined.",
        errors=(),
        handler=sockets.list_own_sockets,
        needs_user=True,
    ),
    Command(
        name="loginRefresh",
        arguments=(Argument("credentials", ANY_DATA),),
        result="the new end of the login in whole seconds of Unix time, or null if it does not end",
        result_type="number | null",
        who="any user, for the socket that calls, when the service has an `on_refresh` hook",
        doc="Renews a login before it ends.",
        errors=("banned", "notAllowed"),
        handler=sockets.login_refresh,
        needs_user=True,
        needs_socket=True,
    ),
    Command(
        name="roomAddToList",
        arguments=(_ROOM_NAME, _LIST_NAME, _USER_NAMES),
        result=_NOTHING,
        result_type="null",
        who=_LIST_EDITORS,
        doc="Adds names to a room's list. Users who lose access are removed from the room.",
        errors=("banned", "invalidName", "listLimitExceeded", "noList", "noRoom", "notAllowed"),
        handler=rooms.room_add_to_list,
    ),
    Command(
        name="roomCreate",
        arguments=(_ROOM_NAME, Argument("whitelistOnly", MODE)),
        result=_NOTHING,
        result_type="null",
        who="any user, when `enable_rooms_management` is on",
        doc="Creates a room owned by the caller.",
        errors=("banned", "invalidName", "limitExceeded", "notAllowed", "roomExists"),
        handler=rooms.room_create,
    ),
    Command(
        name="roomDelete",
        arguments=(_ROOM_NAME,),
        result=_NOTHING,
        result_type="null",
        who="the owner, when `enable_rooms_management` is on",
        doc="Removes everyone from a room and deletes it.",
        errors=("banned", "invalidName", "noRoom", "notAllowed"),
        handler=rooms.room_delete,
    ),
    Command(
        name="roomGetAccessList",
        arguments=(_ROOM_NAME, _LIST_NAME),
        result="the names in the list",
        result_type="string[]",
        who=_READERS,
        doc="Returns a list of a room: `adminlist`, `blacklist`, `whitelist` or `userlist` (joined users).",
        errors=(*_READ_ERRORS, "noList"),
        handler=rooms.room_get_access_list,
    ),
    Command(
        name="roomGetOwner",
        arguments=(_ROOM_NAME,),
        result="the owner's name, or null if the room has no owner",
        result_type="string | null",
        who=_READERS,
        doc="Returns the owner of a room.",
        errors=_READ_ERRORS,
        handler=rooms.room_get_owner,
    ),
    Command(
        name="roomGetWhitelistMode",
        arguments=(_ROOM_NAME,),
        result="whether the whitelist alone gives access",
        result_type="boolean",
        who=_READERS,
        doc="Returns the mode of a room.",
        errors=_READ_ERRORS,
        handler=rooms.room_get_whitelist_mode,
    ),
    Command(
        name="roomHistoryGet",
        arguments=(_ROOM_NAME, Argument("id", MESSAGE_ID), Argument("limit", LIMIT)),
        result="the oldest `limit` messages that follow `id`, newest first",
        result_type="StoredMessage[]",
        who=_READERS,
        doc=(
            "Returns the messages that follow an id, up to `history_max_get_messages` for a user. If the "
            "next ones were rotated out, the answer starts at the oldest stored message. An answer has up to "
            "`history_max_get_bytes`, and in JSON up to `max_attachments` binary values; request the rest "
            "from the last id received."
        ),
        errors=_READ_ERRORS,
        options=(_EPOCH,),
        extra=_EPOCH_RESULT,
        handler=messages.room_history_get,
    ),
    Command(
        name="roomHistoryInfo",
        arguments=(_ROOM_NAME,),
        result="`{historySize, historyMaxSize, historyMaxGetMessages, lastMessageId, epoch}`",
        result_type="HistoryInfo",
        who=_READERS,
        doc="Returns the state of the history. Message ids are comparable within one `epoch`.",
        errors=_READ_ERRORS,
        handler=messages.room_history_info,
    ),
    Command(
        name="roomJoin",
        arguments=(_ROOM_NAME,),
        result="the number of the user's sockets in the room",
        result_type="number",
        who="users allowed by the room's lists",
        doc="Joins this socket to a room. From then on it receives the room's messages and notifications.",
        errors=(
            "banned",
            "invalidName",
            "limitExceeded",
            "invalidSocket",
            "noRoom",
            "noSocket",
            "notAllowed",
        ),
        options=(
            CommandOption(
                "after",
                MESSAGE_ID,
                "the id of the last message received, so that the ack has those after it; 0 for all messages",
            ),
            CommandOption("epoch", EPOCH, "the epoch of that message, which `after` needs unless it is 0"),
            CommandOption(
                "recent",
                LIMIT,
                "how many of the newest messages the ack has if those after `after` cannot all be read, or "
                "without `after`",
            ),
        ),
        extra=ExtraResult(
            name="history",
            type="JoinHistory",
            doc="where in the room's messages the socket has joined, and what it has missed, with any option",
        ),
        handler=sockets.room_join,
        needs_user=True,
        needs_socket=True,
    ),
    Command(
        name="roomLeave",
        arguments=(_ROOM_NAME,),
        result="the number of the user's sockets still in the room",
        result_type="number",
        who="any user",
        doc="Removes this socket from a room. Has no effect if it has not joined.",
        errors=("invalidName", "invalidSocket", "noRoom", "noSocket"),
        handler=sockets.room_leave,
        needs_user=True,
        needs_socket=True,
    ),
    Command(
        name="roomMessage",
        arguments=(_ROOM_NAME, _MESSAGE),
        result="the id of the stored message",
        result_type="number",
        who="joined users",
        doc="Stores a message under the room's next id and sends it to everyone in the room.",
        errors=("conflict", "idempotencyConflict", "messageTooLarge", *_READ_ERRORS),
        options=(
            CommandOption(
                "idempotencyKey",
                IDEMPOTENCY_KEY,
                "names this message, so that a repeated send does not store it again: the repeat returns the "
                "id of the first one. Remembered per user and room for `idempotency_window` seconds",
            ),
            CommandOption(
                "expectedLastId",
                MESSAGE_ID,
                "store the message only if the last message of the room has this id (0: none yet), else "
                "`conflict`",
            ),
        ),
        prepare=messages.note_what_was_sent,
        extra=ExtraResult(
            name="outcome",
            type="SendOutcome",
            doc="present if the key was remembered, so that nothing was stored",
        ),
        handler=messages.room_message,
        together=messages.room_message_together,
        checker="room_messages_checker",
    ),
    Command(
        name="roomNotificationsInfo",
        arguments=(_ROOM_NAME,),
        result="`{enableUserlistUpdates, enableAccessListsUpdates}`",
        result_type="NotificationsInfo",
        who=_READERS,
        doc="Returns which notifications a room sends.",
        errors=_READ_ERRORS,
        handler=rooms.room_notifications_info,
    ),
    Command(
        name="roomRecentHistory",
        arguments=(_ROOM_NAME,),
        result="the newest messages, newest first",
        result_type="StoredMessage[]",
        who=_READERS,
        doc=(
            "Returns the newest messages, up to `history_max_get_messages` and `history_max_get_bytes`, and "
            "in JSON up to `max_attachments` binary values."
        ),
        errors=_READ_ERRORS,
        options=(_EPOCH,),
        extra=_EPOCH_RESULT,
        handler=messages.room_recent_history,
    ),
    Command(
        name="roomRemoveFromList",
        arguments=(_ROOM_NAME, _LIST_NAME, _USER_NAMES),
        result=_NOTHING,
        result_type="null",
        who=_LIST_EDITORS,
        doc="Removes names from a room's list. Users who lose access are removed from the room.",
        errors=("banned", "invalidName", "listLimitExceeded", "noList", "noRoom", "notAllowed"),
        handler=rooms.room_remove_from_list,
    ),
    Command(
        name="roomSetWhitelistMode",
        arguments=(_ROOM_NAME, _MODE),
        result=_NOTHING,
        result_type="null",
        who="the owner and admins",
        doc="Sets the mode of a room. Users who lose access are removed from the room.",
        errors=("banned", "invalidName", "noRoom", "notAllowed"),
        handler=rooms.room_set_whitelist_mode,
    ),
    Command(
        name="roomUserSeen",
        arguments=(_ROOM_NAME, _USER_NAME),
        result="`{joined, timestamp}`; timestamp is the last join or leave in ms, or null if never seen",
        result_type="UserSeen",
        who=_READERS,
        doc="Returns whether a user is in the room, and when the user was last seen there.",
        errors=_READ_ERRORS,
        handler=rooms.room_user_seen,
    ),
    Command(
        name="systemMessage",
        arguments=(Argument("data", ANY_DATA),),
        result=_NOTHING,
        result_type="null",
        who="any user, for themselves",
        doc="Sends data to the user's other sockets.",
        errors=("messageTooLarge",),
        handler=direct.system_message,
        needs_user=True,
    ),
)

#: The commands by their wire names.
COMMANDS: dict[str, Command] = {command.name: command for command in TABLE}

#: Names reserved for commands and notifications of later versions. Applications cannot bind handlers to
#: them.
RESERVED_NAMES: frozenset[str] = frozenset(
    {
        "listOwnRooms",
        "roomEvent",
        "roomGetStatus",
        "roomGetUnread",
        "roomMarkRead",
        "roomMemberUpdated",
        "roomReadEcho",
        "roomSetDetails",
    }
)
