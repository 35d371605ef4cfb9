"""Rows of the command table: users' sockets, their rooms and logins."""

from chat_service.commands import sockets
from chat_service.commands.relations import FOLD
from chat_service.commands.spec import ROOM, Command, ExtraResult
from chat_service.protocol.arguments import ANY_DATA, EPOCH, LIMIT, MESSAGE_ID, Argument, CommandOption

ROWS: tuple[Command, ...] = (
    Command(
        name="listOwnSockets",
        arguments=(),
        result="the rooms of each of the user's sockets, on all instances",
        result_type="Record<string, string[]>",
        who="any user, for themselves",
        doc="Lists the caller's sockets, each with the rooms it has joined.",
        errors=("limitExceeded",),
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
        name="roomJoin",
        arguments=(ROOM,),
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
            FOLD,
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
        arguments=(ROOM,),
        result="the number of the user's sockets still in the room",
        result_type="number",
        who="any user",
        doc="Removes this socket from a room. Has no effect if it has not joined.",
        errors=("invalidName", "invalidSocket", "noRoom", "noSocket"),
        handler=sockets.room_leave,
        needs_user=True,
        needs_socket=True,
    ),
)
