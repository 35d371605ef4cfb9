"""Rows and handlers of the commands about direct messages and the user's own lists."""

from chat_service import rules
from chat_service.commands.messages import processed
from chat_service.commands.spec import BODY, LIST, NOTHING, USERS, WHITELIST_MODE, Command, actor_of, user_of
from chat_service.contracts.bus import Notify, Topic, TopicKind
from chat_service.contracts.capabilities import DeliversHere
from chat_service.domain.context import Context
from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall
from chat_service.protocol.arguments import ANY_DATA, USER_NAME, Argument
from chat_service.types import Message, UserName


async def direct_add_to_list(
    context: Context, call: CommandCall, list_name: str, user_names: list[str]
) -> None:
    user = _check_change(call, list_name, user_names)
    limit = context.options.direct_list_size_limit
    check_ban = not call.is_local_call
    await context.store.user_add_to_list(user, list_name, user_names, limit, check_ban=check_ban)


async def direct_remove_from_list(
    context: Context, call: CommandCall, list_name: str, user_names: list[str]
) -> None:
    user = _check_change(call, list_name, user_names)
    check_ban = not call.is_local_call
    await context.store.user_remove_from_list(user, list_name, user_names, check_ban=check_ban)


def _check_change(call: CommandCall, list_name: str, user_names: list[str]) -> UserName:
    """Raise if users add their own name to their lists."""
    rules.check_direct_list(list_name)
    user = user_of(call)
    if user in user_names:
        raise ChatServiceError("notAllowed")
    return user


async def direct_get_access_list(context: Context, call: CommandCall, list_name: str) -> list[str]:
    rules.check_direct_list(list_name)
    return await context.store.user_get_list(user_of(call), list_name)


async def direct_get_whitelist_mode(context: Context, call: CommandCall) -> bool:
    return await context.store.user_get_mode(user_of(call))


async def direct_set_whitelist_mode(context: Context, call: CommandCall, mode: bool) -> None:
    await context.store.user_set_mode(user_of(call), mode, check_ban=not call.is_local_call)


async def direct_message(context: Context, call: CommandCall, to_user: UserName, message: Message) -> Message:
    if not context.options.enable_direct_messages and not call.bypass_permissions:
        raise ChatServiceError("notAllowed")
    done = processed(message, call, context.clock.now_ms())
    is_here = await context.store.direct_message(to_user, actor_of(call), done)
    if call.user_name is not None:
        await _to_own_sockets(context, call, "directMessageEcho", to_user, done, is_here=bool(is_here))
    call.message = done
    if context.hooks.witness is not None:
        facts = {"user": call.user_name, "toUser": to_user, "socketId": call.id, "message": done}
        context.hooks.witness("direct_message", facts)
    return done


async def system_message(context: Context, call: CommandCall, data: object) -> None:
    await _to_own_sockets(context, call, "systemMessage", data)


async def _to_own_sockets(
    context: Context, call: CommandCall, event: str, *args: object, is_here: bool = False
) -> None:
    """Notify the user's sockets, except the caller's. ``is_here``: all of them are on this instance."""
    exclude = () if call.id is None else (call.id,)
    topic, notice = Topic(TopicKind.USER, user_of(call)), Notify(event=event, args=args, exclude=exclude)
    bus = context.store.bus
    if is_here and isinstance(bus, DeliversHere):
        bus.deliver(topic, notice)
    else:
        await bus.publish(topic, notice)


#: The rows of the table of commands.
ROWS: tuple[Command, ...] = (
    Command(
        name="directAddToList",
        arguments=(LIST, USERS),
        result=NOTHING,
        result_type="null",
        who="any user, for their own lists and other users' names",
        doc="Adds names to the caller's `blacklist` or `whitelist`.",
        errors=("banned", "invalidName", "listLimitExceeded", "noList", "notAllowed"),
        handler=direct_add_to_list,
        needs_user=True,
    ),
    Command(
        name="directGetAccessList",
        arguments=(LIST,),
        result="the names in the list",
        result_type="string[]",
        who="any user, for their own lists",
        doc="Returns the caller's `blacklist` or `whitelist`.",
        errors=("noList",),
        handler=direct_get_access_list,
        needs_user=True,
    ),
    Command(
        name="directGetWhitelistMode",
        arguments=(),
        result="whether the whitelist alone gives access",
        result_type="boolean",
        who="any user, for themselves",
        doc="Returns the caller's mode for direct messages.",
        errors=(),
        handler=direct_get_whitelist_mode,
        needs_user=True,
    ),
    Command(
        name="directMessage",
        arguments=(Argument("toUser", USER_NAME), BODY),
        result="the message as it was sent",
        result_type="SentMessage",
        who="users allowed by the recipient's lists, when `enable_direct_messages` is on",
        doc="Sends a message to all sockets of a user who is online. Nothing is stored.",
        errors=("banned", "invalidName", "messageTooLarge", "noUserOnline", "notAllowed"),
        handler=direct_message,
        checker="direct_messages_checker",
    ),
    Command(
        name="directRemoveFromList",
        arguments=(LIST, USERS),
        result=NOTHING,
        result_type="null",
        who="any user, for their own lists and other users' names",
        doc="Removes names from the caller's `blacklist` or `whitelist`.",
        errors=("banned", "invalidName", "listLimitExceeded", "noList", "notAllowed"),
        handler=direct_remove_from_list,
        needs_user=True,
    ),
    Command(
        name="directSetWhitelistMode",
        arguments=(WHITELIST_MODE,),
        result=NOTHING,
        result_type="null",
        who="any user, for themselves",
        doc="Sets the caller's mode for direct messages.",
        errors=("banned",),
        handler=direct_set_whitelist_mode,
        needs_user=True,
    ),
    Command(
        name="systemMessage",
        arguments=(Argument("data", ANY_DATA),),
        result=NOTHING,
        result_type="null",
        who="any user, for themselves",
        doc="Sends data to the user's other sockets.",
        errors=("messageTooLarge",),
        handler=system_message,
        needs_user=True,
    ),
)
