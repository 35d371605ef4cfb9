"""Rows of the command table: rooms, their settings and lists."""

from chat_service.commands import administration
from chat_service.commands.row_parts import (
    LIST,
    NEW_ROOM,
    NOTHING,
    READ_ERRORS,
    READERS,
    ROOM,
    USER,
    USERS,
    WHITELIST_MODE,
)
from chat_service.commands.spec import Command
from chat_service.protocol.arguments import MODE, Argument

_LIST_EDITORS = (
    "the owner; admins, except for `adminlist` and for the owner's name; nobody may change `userlist`"
)

ROWS: tuple[Command, ...] = (
    Command(
        name="roomAddToList",
        arguments=(ROOM, LIST, USERS),
        result=NOTHING,
        result_type="null",
        who=_LIST_EDITORS,
        doc="Adds names to a room's list. Users who lose access are removed from the room.",
        errors=("banned", "invalidName", "listLimitExceeded", "noList", "noRoom", "notAllowed"),
        handler=administration.room_add_to_list,
    ),
    Command(
        name="roomCreate",
        arguments=(NEW_ROOM, Argument("whitelistOnly", MODE)),
        result=NOTHING,
        result_type="null",
        who="any user, when `enable_rooms_management` is on",
        doc="Creates a room owned by the caller.",
        errors=("banned", "invalidName", "limitExceeded", "notAllowed", "roomExists"),
        handler=administration.room_create,
    ),
    Command(
        name="roomDelete",
        arguments=(ROOM,),
        result=NOTHING,
        result_type="null",
        who="the owner, when `enable_rooms_management` is on",
        doc="Removes everyone from a room and deletes it.",
        errors=("banned", "invalidName", "noRoom", "notAllowed"),
        handler=administration.room_delete,
    ),
    Command(
        name="roomGetAccessList",
        arguments=(ROOM, LIST),
        result="the names in the list",
        result_type="string[]",
        who=READERS,
        doc="Returns a list of a room: `adminlist`, `blacklist`, `whitelist` or `userlist` (joined users).",
        errors=(*READ_ERRORS, "noList"),
        handler=administration.room_get_access_list,
    ),
    Command(
        name="roomGetOwner",
        arguments=(ROOM,),
        result="the owner's name, or null if the room has no owner",
        result_type="string | null",
        who=READERS,
        doc="Returns the owner of a room.",
        errors=READ_ERRORS,
        handler=administration.room_get_owner,
    ),
    Command(
        name="roomGetWhitelistMode",
        arguments=(ROOM,),
        result="whether the whitelist alone gives access",
        result_type="boolean",
        who=READERS,
        doc="Returns the mode of a room.",
        errors=READ_ERRORS,
        handler=administration.room_get_whitelist_mode,
    ),
    Command(
        name="roomNotificationsInfo",
        arguments=(ROOM,),
        result="`{enableUserlistUpdates, enableAccessListsUpdates}`",
        result_type="NotificationsInfo",
        who=READERS,
        doc="Returns which notifications a room sends.",
        errors=READ_ERRORS,
        handler=administration.room_notifications_info,
    ),
    Command(
        name="roomRemoveFromList",
        arguments=(ROOM, LIST, USERS),
        result=NOTHING,
        result_type="null",
        who=_LIST_EDITORS,
        doc="Removes names from a room's list. Users who lose access are removed from the room.",
        errors=("banned", "invalidName", "listLimitExceeded", "noList", "noRoom", "notAllowed"),
        handler=administration.room_remove_from_list,
    ),
    Command(
        name="roomSetWhitelistMode",
        arguments=(ROOM, WHITELIST_MODE),
        result=NOTHING,
        result_type="null",
        who="the owner and admins",
        doc="Sets the mode of a room. Users who lose access are removed from the room.",
        errors=("banned", "invalidName", "noRoom", "notAllowed"),
        handler=administration.room_set_whitelist_mode,
    ),
    Command(
        name="roomUserSeen",
        arguments=(ROOM, USER),
        result="`{joined, timestamp}`; timestamp is the last join or leave in ms, or null if never seen",
        result_type="UserSeen",
        who=READERS,
        doc="Returns whether a user is in the room, and when the user was last seen there.",
        errors=READ_ERRORS,
        handler=administration.room_user_seen,
    ),
)
