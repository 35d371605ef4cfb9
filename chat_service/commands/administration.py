"""Handlers of the commands about rooms, their settings and their access lists."""

from collections.abc import Sequence
from typing import Any

from chat_service import rules
from chat_service.commands.spec import actor_of
from chat_service.contracts.records import SYSTEM, RoomConfig
from chat_service.domain.access_loss import settle
from chat_service.domain.context import Context
from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall
from chat_service.types import ROOM_LISTS, USERLIST, RoomName, UserName


async def room_create(context: Context, call: CommandCall, room_name: RoomName, whitelist_only: bool) -> None:
    _check_management(context, call)
    options = context.options
    config = RoomConfig(
        owner=actor_of(call).name,
        whitelist_only=whitelist_only,
        history_max_size=options.history_max_size,
        history_max_bytes=options.history_max_bytes,
        history_ttl=options.history_ttl,
        empty_ttl=options.empty_ttl,
        enable_userlist_updates=options.enable_userlist_updates,
        enable_access_lists_updates=options.enable_access_lists_updates,
    )
    # Calls of the server on behalf of a user are neither counted nor refused.
    quota = None if call.is_local_call else context.rates.rooms
    await context.store.room_create(room_name, config, quota)


async def room_delete(context: Context, call: CommandCall, room_name: RoomName) -> None:
    _check_management(context, call)
    removed = await context.store.room_delete(room_name, actor_of(call))
    await settle(context, room_name, removed)


async def room_add_to_list(
    context: Context, call: CommandCall, room_name: RoomName, list_name: str, user_names: list[str]
) -> None:
    await _change_list(context, call, room_name, list_name, add=user_names)


async def room_remove_from_list(
    context: Context, call: CommandCall, room_name: RoomName, list_name: str, user_names: list[str]
) -> None:
    await _change_list(context, call, room_name, list_name, remove=user_names)


async def _change_list(
    context: Context,
    call: CommandCall,
    room_name: RoomName,
    list_name: str,
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
) -> None:
    await _check_changeable(context, call, room_name, list_name)
    removed = await context.store.room_change_list(
        room_name,
        actor_of(call),
        list_name,
        context.clock.now_ms(),
        add=add,
        remove=remove,
        limit=context.options.room_list_size_limit,
    )
    await settle(context, room_name, removed)


async def _check_changeable(context: Context, call: CommandCall, room_name: RoomName, list_name: str) -> None:
    """Raise the error for a list that cannot be changed: ``noRoom``, then ``notAllowed``, then ``noList``."""
    if list_name in ROOM_LISTS:
        return
    owner = (await context.store.room_settings(room_name, SYSTEM)).owner
    user = call.user_name
    may_change = call.bypass_permissions or (user is not None and user == owner)
    if not may_change and user is not None:
        may_change = await context.store.room_has_in_list(room_name, "adminlist", user)
    if not may_change:
        raise ChatServiceError("notAllowed")
    rules.check_room_list(list_name, reading=False)


async def room_get_access_list(
    context: Context, call: CommandCall, room_name: RoomName, list_name: str
) -> list[str]:
    if list_name != USERLIST and list_name not in ROOM_LISTS:
        # Called for its other errors, which take precedence.
        await context.store.room_settings(room_name, actor_of(call))
        raise ChatServiceError("noList", list_name)
    return await context.store.room_get_list(room_name, actor_of(call), list_name)


async def room_get_owner(context: Context, call: CommandCall, room_name: RoomName) -> UserName | None:
    return (await context.store.room_settings(room_name, actor_of(call))).owner


async def room_get_whitelist_mode(context: Context, call: CommandCall, room_name: RoomName) -> bool:
    return (await context.store.room_settings(room_name, actor_of(call))).whitelist_only


async def room_set_whitelist_mode(
    context: Context, call: CommandCall, room_name: RoomName, mode: bool
) -> None:
    removed = await context.store.room_set_mode(room_name, actor_of(call), context.clock.now_ms(), mode)
    await settle(context, room_name, removed)


async def room_notifications_info(
    context: Context, call: CommandCall, room_name: RoomName
) -> dict[str, bool]:
    settings = await context.store.room_settings(room_name, actor_of(call))
    return {
        "enableUserlistUpdates": settings.enable_userlist_updates,
        "enableAccessListsUpdates": settings.enable_access_lists_updates,
    }


async def room_user_seen(
    context: Context, call: CommandCall, room_name: RoomName, user_name: UserName
) -> dict[str, Any]:
    seen = await context.store.room_user_seen(room_name, actor_of(call), user_name)
    return {"joined": seen.joined, "timestamp": seen.timestamp}


def _check_management(context: Context, call: CommandCall) -> None:
    if not context.options.enable_rooms_management and not call.bypass_permissions:
        raise ChatServiceError("notAllowed")
