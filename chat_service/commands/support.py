"""What handlers share."""

from chat_service.contracts.records import Actor
from chat_service.domain import bans
from chat_service.domain.context import Context
from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall
from chat_service.types import UserName


def actor_of(call: CommandCall) -> Actor:
    """Who runs the command, for the store."""
    name = None if call.user_name is None else UserName(call.user_name)
    return Actor(name=name, bypass=call.bypass_permissions)


async def check_ban(context: Context, call: CommandCall) -> None:
    """Raise ``banned`` for a client that still runs commands because its instance has not heard of the ban.

    Calls of the server on behalf of a user go on.
    """
    if not call.is_local_call:
        await bans.check_user(context, call.user_name)


def user_of(call: CommandCall) -> UserName:
    """The user of a command that needs one. Raises ``noLogin``."""
    if call.user_name is None:
        raise ChatServiceError("noLogin")
    return UserName(call.user_name)
