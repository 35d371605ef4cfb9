"""Editing and deleting: special messages that say what becomes of an earlier one.

    socket.emit("roomMessage", room, { textMessage: "helo" }, ...)               // gets the id 1
    socket.emit("roomMessage", room, { edit: 1, textMessage: "hello" }, ...)
    socket.emit("roomMessage", room, { delete: 1 }, ...)

Messages that are stored never change, so an edit is one more message with an id of its own. It is delivered,
kept and caught up with like all others, and every client that applies messages in the order of their ids, as
`view` below does, comes to the same view. (The old text stays in the history until it is rotated out.)
"""

import os
from collections.abc import Iterable
from typing import Any

from chat_service import ChatService, ChatServiceError, CommandCall

#: The fields of the three kinds of messages.
FORMATS: tuple[dict[str, type], ...] = (
    {"textMessage": str},
    {"edit": int, "textMessage": str},
    {"delete": int},
)


class EditError(ChatServiceError):
    """Errors about the message that is to be changed."""

    texts = {"noMessage": "There is no message %d that can be changed"}


def check_format(message: dict[str, Any]) -> None:
    """A checker hook: lets exactly the three kinds of messages in."""
    # type() and not isinstance(): True is an int, too.
    if {name: type(value) for name, value in message.items()} not in FORMATS:
        raise ChatServiceError("badArgument", 1, message)


async def check_right(call: CommandCall) -> None:
    """A before hook: authors change their own messages, admins and the owner delete any.

    Nothing can come between this check and the store: a message's author never changes. When two edit at
    once, the later id wins, everywhere.
    """
    room, message = call.args
    target = message.get("edit", message.get("delete"))
    if target is None or call.user_name is None:
        return  # a new message, or one of the server
    if target < 1:
        raise EditError("noMessage", target)
    # As the user, so that who may not read the room does not learn what is in it.
    [found] = await call.service.exec_user_command(call.user_name, "roomHistoryGet", room, target - 1, 1)
    # When it was rotated out, the answer begins at a later one.
    if not found or found[0]["id"] != target or "edit" in found[0] or "delete" in found[0]:
        raise EditError("noMessage", target)
    if found[0]["author"] == call.user_name:
        return
    if "edit" in message or not await is_admin(call.service, room, call.user_name):
        raise ChatServiceError("notAllowed")


async def is_admin(service: ChatService, room: str, user: str) -> bool:
    """Whether a user owns or administers a room."""
    [owner] = await service.exec_user_command(True, "roomGetOwner", room)
    return user == owner or await service.room_has_in_list(room, "adminlist", user)


def view(messages: Iterable[dict[str, Any]]) -> dict[int, str]:
    """What a client shows: texts by id, from messages in the order of their ids."""
    texts: dict[int, str] = {}
    for message in messages:
        if "delete" in message:
            texts.pop(message["delete"], None)
        elif "edit" not in message:
            texts[message["id"]] = message["textMessage"]
        elif message["edit"] in texts:
            # Else it was deleted before, or is older than what the client has.
            texts[message["edit"]] = message["textMessage"]
    return texts


async def on_connect(service: ChatService, socket_id: str) -> str | None:
    """Trust the name that the client gives. A real service checks a token here."""
    return service.transport.get_handshake_data(socket_id).query.get("userName")


def make_service(**options: Any) -> ChatService:
    """A service whose messages can be edited and deleted."""
    hooks = {
        "on_connect": on_connect,
        "room_messages_checker": check_format,
        "room_message_before": check_right,
    }
    return ChatService(hooks=hooks, **options)


if __name__ == "__main__":
    make_service(port=int(os.environ.get("PORT", "8000")), enable_rooms_management=True).run()
