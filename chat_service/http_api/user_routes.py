"""The routes about users."""

from chat_service.http_api import reading, writing
from chat_service.http_api import schemas as data
from chat_service.http_api.routing import CONTAINS, PAGE, USER, Param, Route

ROWS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/users",
        scope="read",
        handler=reading.list_users,
        doc="Lists the users who have sockets, or all known users with `online=false`.",
        query=(
            *PAGE,
            CONTAINS,
            Param(name="online", schema=data.BOOLEAN, doc="only users who have sockets; true"),
        ),
        answer=data.USERS,
    ),
    Route(
        method="POST",
        path="/users",
        scope="write",
        handler=writing.create_user,
        doc="Creates a user before the first login.",
        body=data.NEW_USER,
        answer=data.NAMED,
        status=201,
        errors=("invalidName", "listLimitExceeded", "userExists"),
    ),
    Route(
        method="GET",
        path="/users/{user}",
        scope="read",
        handler=reading.get_user,
        doc="Returns the state of a user.",
        answer=data.USER,
        errors=USER,
    ),
    Route(
        method="DELETE",
        path="/users/{user}",
        scope="admin",
        handler=writing.delete_user,
        doc="Deletes a user who has no sockets, with the lists.",
        status=204,
        errors=(*USER, "userOnline"),
    ),
    Route(
        method="GET",
        path="/users/{user}/sockets",
        scope="read",
        handler=reading.list_sockets,
        command="listOwnSockets",
        doc="Lists a user's sockets on all instances, each with the rooms it has joined.",
        query=PAGE,
        answer=data.SOCKETS,
        errors=USER,
    ),
    Route(
        method="GET",
        path="/users/{user}/lists/{list}",
        scope="read",
        handler=reading.get_user_list,
        command="directGetAccessList",
        doc="Returns a user's `blacklist` or `whitelist`.",
        query=PAGE,
        answer=data.NAMES_PAGE,
        errors=USER,
    ),
    Route(
        method="PATCH",
        path="/users/{user}/lists/{list}",
        scope="write",
        handler=writing.change_user_list,
        command="directAddToList",
        doc="Removes names from a user's list, then adds others.",
        body=data.LIST_CHANGES,
        status=204,
        errors=USER,
    ),
    Route(
        method="POST",
        path="/users/{user}/messages",
        scope="write",
        handler=writing.send_direct,
        command="directMessage",
        body=data.DIRECT,
        answer=data.record({"message": {"type": "object"}}),
        errors=USER,
    ),
    Route(
        method="PUT",
        path="/users/{user}/marks/{room}",
        scope="write",
        handler=writing.mark_read,
        command="roomMarkRead",
        doc=(
            "Moves a user's mark in a room to a message, whether they are in the room or not. A mark never "
            "moves back. An id after the last message means the last message."
        ),
        body=data.record({"id": data.COUNT}),
        answer=data.record({"readId": data.COUNT}),
        errors=USER,
    ),
    Route(
        method="POST",
        path="/users/{user}/unread",
        scope="read",
        handler=reading.get_unread,
        command="roomGetUnread",
        doc=(
            "Tells how far a user has read rooms, whether they are in them or not. Rooms that do not exist "
            "are left out."
        ),
        body=data.record({"rooms": data.array(data.NAME, maxItems=1000)}),
        answer=data.record(
            {
                "rooms": {
                    "type": "object",
                    "additionalProperties": data.record(
                        {"lastMessageId": data.COUNT, "readId": data.COUNT, "unread": data.COUNT}
                    ),
                }
            }
        ),
        errors=USER,
    ),
)
