"""The routes of the HTTP API, one row each. Checks, scopes and the OpenAPI document are derived from them."""

from collections.abc import Mapping
from typing import Final

from chat_service.http_api import reading, writing
from chat_service.http_api import schemas as data
from chat_service.http_api.event_stream import room_events
from chat_service.http_api.routing import Param, Route
from chat_service.http_api.schemas import Schema

#: Schemas of the parameters of paths.
PATH_SCHEMAS: Final[Mapping[str, Schema]] = {
    "room": data.NAME,
    "user": data.NAME,
    "list": data.STRING,
    "messageId": {**data.STRING, "pattern": "^[1-9][0-9]{0,14}$"},
    "socketId": {**data.STRING, "minLength": 1, "maxLength": 256},
    "instanceId": {**data.STRING, "minLength": 1, "maxLength": 256},
    "command": {**data.STRING, "minLength": 1, "maxLength": 256},
}

_PAGE = (
    Param(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": data.PAGE},
        doc="how many items the page may have; 100 if it is not given",
    ),
    Param(
        name="cursor",
        schema={"type": "string", "minLength": 1, "maxLength": 2048},
        doc="the `cursor` of the page before; a page whose `cursor` is null is the last one",
    ),
)
_CONTAINS = Param(
    name="contains",
    schema={"type": "string", "minLength": 1, "maxLength": 256},
    doc=(
        "only names with this in them, whatever the case; each request looks through `max_page_size` names, "
        "and may find none while others follow"
    ),
)
_AFTER = Param(name="after", schema=data.COUNT, doc="the id of the last known message; 0 for all messages")
_EPOCH = Param(name="epoch", schema=data.EPOCH, doc="the epoch of that message, which `after` needs")
_ROOM = ("invalidName", "noRoom")
_USER = ("invalidName", "noUser")

TABLE: Final[tuple[Route, ...]] = (
    # Rooms
    Route(
        method="GET",
        path="/rooms",
        scope="read",
        handler=reading.list_rooms,
        doc="Lists all rooms, in any order. A page may have more or fewer rooms than asked for.",
        query=(*_PAGE, _CONTAINS),
        answer=data.record({"rooms": data.array(data.ROOM), "cursor": data.CURSOR}),
    ),
    Route(
        method="POST",
        path="/rooms",
        scope="write",
        handler=writing.create_room,
        doc="Creates a room. Fields that are not given have the defaults of the service's options.",
        body=data.NEW_ROOM,
        answer=data.NAMED,
        status=201,
        errors=("invalidName", "listLimitExceeded", "roomExists"),
    ),
    Route(
        method="GET",
        path="/rooms/{room}",
        scope="read",
        handler=reading.get_room,
        doc="Returns the state of a room.",
        answer=data.ROOM_STATUS,
        errors=_ROOM,
    ),
    Route(
        method="PATCH",
        path="/rooms/{room}",
        scope="write",
        handler=writing.change_room,
        doc="Changes settings of a room, one after the other. Users who lose access are removed from it.",
        body=data.ROOM_CHANGES,
        status=204,
        errors=_ROOM,
    ),
    Route(
        method="DELETE",
        path="/rooms/{room}",
        scope="admin",
        handler=writing.delete_room,
        command="roomDelete",
        status=204,
    ),
    Route(
        method="GET",
        path="/rooms/{room}/members",
        scope="read",
        handler=reading.list_members,
        doc=(
            "Lists the joined users in their natural order: when each has joined (Unix time in ms, null if "
            "it is unknown), with how many sockets, and the details that were set last."
        ),
        query=_PAGE,
        answer=data.MEMBERS,
        errors=_ROOM,
    ),
    Route(
        method="GET",
        path="/rooms/{room}/lists/{list}",
        scope="read",
        handler=reading.get_room_list,
        command="roomGetAccessList",
        query=_PAGE,
        answer=data.NAMES_PAGE,
    ),
    Route(
        method="PATCH",
        path="/rooms/{room}/lists/{list}",
        scope="write",
        handler=writing.change_room_list,
        command="roomAddToList",
        doc="Removes names from a list of a room, then adds others. Users who lose access leave the room.",
        body=data.LIST_CHANGES,
        status=204,
    ),
    Route(
        method="POST",
        path="/rooms/{room}/sync",
        scope="admin",
        handler=writing.sync_room,
        doc="Removes members of a room who have no live socket or no access.",
        status=204,
        errors=_ROOM,
    ),
    # Messages
    Route(
        method="GET",
        path="/rooms/{room}/messages",
        scope="read",
        handler=reading.get_history,
        doc=(
            "Returns the messages after a known one, oldest first. Without `after`, or if those after it are "
            "not all stored, the messages are the newest ones, and `recovered` is false."
        ),
        query=(_AFTER, _EPOCH, _PAGE[0]),
        answer=data.HISTORY,
        errors=_ROOM,
    ),
    Route(
        method="POST",
        path="/rooms/{room}/messages",
        scope="write",
        handler=writing.publish,
        command="roomMessage",
        doc=(
            "Stores a message under the room's next id and sends it to everyone in the room. A repeat with "
            "the same idempotency key stores nothing, and has the status 200 and the id of the first one."
        ),
        body=data.PUBLISH,
        answer=data.PUBLISHED,
        status=201,
        errors=("noUser",),
        takes_key=True,
    ),
    Route(
        method="DELETE",
        path="/rooms/{room}/messages/{messageId}",
        scope="admin",
        handler=writing.erase_message,
        doc="Deletes a message, and removes its content and that of its edits from the store.",
        status=204,
        errors=(*_ROOM, "noMessage"),
    ),
    Route(
        method="POST",
        path="/batch",
        scope="write",
        handler=writing.publish_batch,
        doc=(
            "Sends many messages. Those of one room keep their order. Each has its own result, in the order "
            "of the messages. With `Idempotency-Key` each has a key of its own: this one with its number."
        ),
        body=data.BATCH_BODY,
        answer=data.BATCH_ANSWER,
        takes_key=True,
    ),
    Route(
        method="GET",
        path="/rooms/{room}/events",
        scope="read",
        handler=room_events,
        doc=(
            "The events of a room as Server-Sent Events. Messages have the id `epoch:id`; a client that "
            "sends the last one as `Last-Event-ID` first gets the messages that it has missed."
        ),
        query=(_AFTER, _EPOCH),
        errors=_ROOM,
        is_stream=True,
    ),
    # Users
    Route(
        method="GET",
        path="/users",
        scope="read",
        handler=reading.list_users,
        doc="Lists the users who have sockets, or all known users with `online=false`.",
        query=(
            *_PAGE,
            _CONTAINS,
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
        errors=_USER,
    ),
    Route(
        method="DELETE",
        path="/users/{user}",
        scope="admin",
        handler=writing.delete_user,
        doc="Deletes a user who has no sockets, with the lists.",
        status=204,
        errors=(*_USER, "userOnline"),
    ),
    Route(
        method="GET",
        path="/users/{user}/sockets",
        scope="read",
        handler=reading.list_sockets,
        command="listOwnSockets",
        doc="Lists a user's sockets on all instances, each with the rooms it has joined.",
        query=_PAGE,
        answer=data.SOCKETS,
        errors=_USER,
    ),
    Route(
        method="GET",
        path="/users/{user}/lists/{list}",
        scope="read",
        handler=reading.get_user_list,
        command="directGetAccessList",
        doc="Returns a user's `blacklist` or `whitelist`.",
        query=_PAGE,
        answer=data.NAMES_PAGE,
        errors=_USER,
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
        errors=_USER,
    ),
    Route(
        method="POST",
        path="/users/{user}/messages",
        scope="write",
        handler=writing.send_direct,
        command="directMessage",
        body=data.DIRECT,
        answer=data.record({"message": {"type": "object"}}),
        errors=_USER,
    ),
    # Operators
    Route(
        method="GET",
        path="/token",
        scope="read",
        handler=reading.read_token,
        doc="Returns the name and the scopes of the token that the request has, and the server's version.",
        answer=data.TOKEN,
    ),
    Route(
        method="GET",
        path="/statistics",
        scope="read",
        handler=reading.read_statistics,
        doc="Returns counters of the instance that answers, since it was made; the differences are rates.",
        answer=data.STATISTICS,
    ),
    Route(
        method="PUT",
        path="/users/{user}/ban",
        scope="admin",
        handler=writing.ban_user,
        doc="Bans a user, known or not: disconnects every socket, removes it from all rooms, refuses logins. "
        "Afterwards no instance stores a message of the user. Replaces an earlier ban.",
        body=data.NEW_BAN,
        answer=data.BAN,
        errors=("invalidName",),
    ),
    Route(
        method="GET",
        path="/users/{user}/ban",
        scope="read",
        handler=reading.read_ban,
        doc="Returns the ban of a user, or `banned: false`.",
        answer=data.BAN,
        errors=("invalidName",),
    ),
    Route(
        method="DELETE",
        path="/users/{user}/ban",
        scope="admin",
        handler=writing.unban_user,
        doc="Ends the ban of a user. Nothing happens if there is none.",
        status=204,
        errors=("invalidName",),
    ),
    Route(
        method="POST",
        path="/users/{user}/kick",
        scope="admin",
        handler=writing.kick_user,
        doc="Disconnects all sockets of a user, on all instances.",
        status=204,
        errors=_USER,
    ),
    Route(
        method="POST",
        path="/users/{user}/sync",
        scope="admin",
        handler=writing.sync_user,
        doc="Removes a user's stale sockets and room entries.",
        status=204,
        errors=_USER,
    ),
    Route(
        method="POST",
        path="/sockets/{socketId}/kick",
        scope="admin",
        handler=writing.kick_socket,
        doc="Disconnects a socket on any instance. An unknown socket is ignored.",
        status=204,
    ),
    Route(
        method="GET",
        path="/instances",
        scope="read",
        handler=reading.list_instances,
        doc="Lists all living instances and dead ones not recovered yet, sorted by id.",
        answer=data.INSTANCES,
    ),
    Route(
        method="POST",
        path="/instances/{instanceId}/recover",
        scope="admin",
        handler=writing.recover_instance,
        doc="Removes a dead instance's sockets and presence, and notifies everyone affected.",
        status=204,
        errors=("ownInstance",),
    ),
    Route(
        method="POST",
        path="/commands/{command}",
        scope="admin",
        handler=writing.run_command,
        doc=(
            "Runs a command of the wire protocol, as the server or a user, for what has no path of its own."
        ),
        body=data.record(
            {"args": {"type": "array", "maxItems": 100}},
            {
                "userName": data.NAME,
                "socketId": data.STRING,
                "bypassPermissions": data.BOOLEAN,
            },
        ),
        answer=data.record({"results": {"type": "array"}}),
        errors=("noCommand", "noUser", "noSocket", "noRoom", "notAllowed", "conflict"),
    ),
)
