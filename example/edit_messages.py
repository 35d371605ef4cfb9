"""Editing and deleting: special messages that change or delete an earlier one.

    socket.emit("roomMessage", room, { textMessage: "helo" }, ...)               // gets the id 1
    socket.emit("roomMessage", room, { edit: 1, textMessage: "hello" }, ...)
    socket.emit("roomMessage", room, { delete: 1 }, ...)

Stored messages never change, so an edit is another message with its own id. It is delivered and stored like
all others, and every client that applies messages in the order of their ids, as `view` below does, gets the
same result. (The old text stays in the history until it is rotated out.)
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
    """Errors about the message to be changed."""

    texts = {"noMessage": "There is no message %d that can be changed"}


def check_format(message: dict[str, Any]) -> None:
    """A checker hook that accepts only the three kinds of messages."""
    # type() and not isinstance(): True is an int, too.
    if {name: type(value) for name, value in message.items()} not in FORMATS:
        raise ChatServiceError("badArgument", 1, message)


async def check_right(call: CommandCall) -> None:
    """A before hook: authors may change their own messages; admins and the owner may delete any message.

    The check stays valid until the message is stored, because a message's author never changes. If two users
    edit at the same time, the later id wins for all clients.
    """
    room, message = call.args
    target = message.get("edit", message.get("delete"))
    if target is None or call.user_name is None:
        return  # a new message, or one of the server
    if target < 1:
        raise EditError("noMessage", target)
    # As the user, so that users without access to the room learn nothing about its content.
    [found] = await call.service.exec_user_command(call.user_name, "roomHistoryGet", room, target - 1, 1)
    # If it was rotated out, the answer starts with a later message.
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
    """The texts that a client shows, by id, from messages in the order of their ids."""
    texts: dict[int, str] = {}
    for message in messages:
        if "delete" in message:
            texts.pop(message["delete"], None)
        elif "edit" not in message:
            texts[message["id"]] = message["textMessage"]
        elif message["edit"] in texts:
            # Otherwise it was already deleted, or is older than the client's messages.
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
