"""The routes of the HTTP API, one row each. Checks, scopes and the OpenAPI document are derived from them."""

from collections.abc import Mapping
from typing import Final

from chat_service.http_api import reading, user_routes, writing
from chat_service.http_api import schemas as data
from chat_service.http_api.event_stream import room_events
from chat_service.http_api.routing import AFTER, CONTAINS, EPOCH, PAGE, ROOM, USER, Route
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

TABLE: Final[tuple[Route, ...]] = (
    # Rooms
    Route(
        method="GET",
        path="/rooms",
        scope="read",
        handler=reading.list_rooms,
        doc="Lists all rooms, in any order. A page may have more or fewer rooms than asked for.",
        query=(*PAGE, CONTAINS),
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
        errors=ROOM,
    ),
    Route(
        method="PATCH",
        path="/rooms/{room}",
        scope="write",
        handler=writing.change_room,
        doc="Changes settings of a room, one after the other. Users who lose access are removed from it.",
        body=data.ROOM_CHANGES,
        status=204,
        errors=ROOM,
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
        query=PAGE,
        answer=data.MEMBERS,
        errors=ROOM,
    ),
    Route(
        method="GET",
        path="/rooms/{room}/lists/{list}",
        scope="read",
        handler=reading.get_room_list,
        command="roomGetAccessList",
        query=PAGE,
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
        errors=ROOM,
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
        query=(AFTER, EPOCH, PAGE[0]),
        answer=data.HISTORY,
        errors=ROOM,
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
        errors=(*ROOM, "noMessage"),
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
        method="POST",
        path="/rooms/{room}/events",
        scope="write",
        handler=writing.send_event,
        command="roomEvent",
        doc="Sends an event to the joined sockets of a room, at most once. Nothing is stored.",
        body=data.record({"name": data.EVENT_NAME, "data": {}}, {"author": data.NAME}),
        status=204,
        errors=("noUser",),
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
        query=(AFTER, EPOCH),
        errors=ROOM,
        is_stream=True,
    ),
    *user_routes.ROWS,
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
        errors=USER,
    ),
    Route(
        method="POST",
        path="/users/{user}/sync",
        scope="admin",
        handler=writing.sync_user,
        doc="Removes a user's stale sockets and room entries.",
        status=204,
        errors=USER,
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
