"""Markers: events sent last. A client that has received the marker has received everything before it."""

import itertools
from typing import Any

from chat_service import ChatService
from chat_service.testing import InProcessClient, wait_until
from chat_service.types import user_channel

_numbers = itertools.count(1)
_EVENT = "marker"


async def room_marker(service: ChatService, room: str, *clients: InProcessClient) -> int:
    """Send a message as the server, and return its id when these joined clients have received it."""
    text = f"{_EVENT} {next(_numbers)}"
    [message_id] = await service.exec_user_command(True, "roomMessage", room, {"textMessage": text})
    for client in clients:
        await wait_until(lambda client=client: _has(client, text), f"{text} at {client!r}: {client.events}")
    return message_id


def _has(client: InProcessClient, text: str) -> bool:
    return any(message.get("textMessage") == text for _, message in client.received("roomMessage"))


async def user_marker(service: ChatService, user: str, *clients: InProcessClient) -> None:
    """Send an event to all sockets of a user, and return when these clients have received it."""
    number = next(_numbers)
    await service.transport.emit_to_channel(user_channel(user), _EVENT, number)
    for client in clients:
        await client.wait_for(_EVENT, number)


def told(client: InProcessClient) -> list[tuple[str, list[Any]]]:
    """The events that a client has received so far, without markers."""
    return [(name, args) for name, args in client.events if not _is_marker(name, args)]


def _is_marker(name: str, args: list[Any]) -> bool:
    if name == "roomMessage":
        return str(args[1].get("textMessage")).startswith(_EVENT)
    return name == _EVENT
