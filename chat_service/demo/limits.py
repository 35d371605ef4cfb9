"""Limits of the web chat: names, lengths and numbers."""

from collections.abc import Collection
from typing import Any, Final

from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall

MAX_USER_NAME: Final = 32
MAX_ROOM_NAME: Final = 40
#: Maximum number of characters in a message.
MAX_TEXT: Final = 4000
#: Maximum number of rooms, since clients receive the complete list.
MAX_ROOMS: Final = 500


def check_name(name: Any, limit: int) -> str:
    """Return a name that people can distinguish: printable, not too long, without surrounding spaces.

    Raises ``invalidName``.
    """
    if not isinstance(name, str) or not name.isprintable() or name != name.strip() or len(name) > limit:
        raise ChatServiceError("invalidName", name)
    return name


def user_name(auth: Any, query: Any) -> str | None:
    """The name that a client gives in ``auth`` or the query. Identities are not verified."""
    name = auth.get("userName") if isinstance(auth, dict) else None
    name = query.get("userName") if name is None else name
    return None if name is None else check_name(name, MAX_USER_NAME)


def may_remove(user: str, name: str, owner: str | None, admins: Collection[str]) -> bool:
    """Whether a user may remove another from a room. Only the owner removes admins, and no one the owner."""
    if name in (user, owner):
        return False
    return user == owner or (user in admins and name not in admins)


async def before_room_create(call: CommandCall) -> None:
    """Refuses rooms that the page cannot show. Raises ``invalidName``, ``tooManyRooms``."""
    check_name(call.args[0], MAX_ROOM_NAME)
    page = await call.service.list_rooms(MAX_ROOMS)
    if len(page.items) >= MAX_ROOMS:
        raise ChatServiceError("tooManyRooms")


async def before_message(call: CommandCall) -> None:
    """Refuses long room messages and direct messages. Raises ``messageTooLong``."""
    if len(call.args[1]["textMessage"]) > MAX_TEXT:
        raise ChatServiceError("messageTooLong")
