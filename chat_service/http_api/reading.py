"""Handlers of the HTTP API that read: rooms, members, lists, histories, users, instances, and the caller."""

from collections.abc import Sequence
from typing import Any

from chat_service.contracts.capabilities import MeasuredTransport
from chat_service.contracts.records import SYSTEM, Page, RoomSummary
from chat_service.domain.listing import RoomStatus
from chat_service.http_api.api_call import ApiCall, bad_request, check_user, page_of_names, room_of
from chat_service.http_api.api_tokens import SCOPES
from chat_service.http_api.exchange import as_json
from chat_service.types import Message, RoomName, UserName
from chat_service.version import __version__

#: Maximum number of messages read from the store at once.
CHUNK = 100


async def read_token(call: ApiCall) -> dict[str, Any]:
    scopes = [scope for scope in SCOPES if call.token.has(scope)]
    return {"name": call.token.name, "scopes": scopes, "version": __version__}


async def list_rooms(call: ApiCall) -> dict[str, Any]:
    page: Page[RoomSummary] = await _checked(
        call.service.list_rooms(_looked_through(call), call.query.get("cursor"))
    )
    rooms = [room.as_object() for room in page.items if _is_wanted(call, room.name)]
    return {"rooms": rooms, "cursor": page.cursor}


def _looked_through(call: ApiCall) -> int:
    """How many items are read for a page: with "contains" as many as one answer may have."""
    return call.options.max_page_size if "contains" in call.query else call.page_size()


def _is_wanted(call: ApiCall, name: str) -> bool:
    return str(call.query.get("contains", "")).casefold() in name.casefold()


async def get_room(call: ApiCall) -> dict[str, Any]:
    status = await call.service.room_status(call.path["room"])
    return {
        **status.room.as_object(),
        "enableUserlistUpdates": status.enable_userlist_updates,
        "enableAccessListsUpdates": status.enable_access_lists_updates,
    }


async def list_members(call: ApiCall) -> dict[str, Any]:
    status = await call.service.room_status(call.path["room"])
    names, cursor = page_of_names([*status.members], call.page_size(), call.query.get("cursor"))
    members = [_member(status, UserName(name)) for name in names]
    return {"members": members, "membersCount": len(status.members), "cursor": cursor}


def _member(status: RoomStatus, user: UserName) -> dict[str, Any]:
    plain = {"userName": user, "joinedAt": status.joined_at[user], "sockets": status.members[user]}
    return {**plain, "details": status.details[user]} if user in status.details else plain


async def get_room_list(call: ApiCall) -> dict[str, Any]:
    [names, *_] = await call.service.exec_user_command(
        True, "roomGetAccessList", call.path["room"], call.path["list"]
    )
    return _names(call, names)


async def get_user_list(call: ApiCall) -> dict[str, Any]:
    [names, *_] = await call.service.exec_user_command(
        call.path["user"], "directGetAccessList", call.path["list"]
    )
    return _names(call, names)


def _names(call: ApiCall, names: Sequence[str]) -> dict[str, Any]:
    page, cursor = page_of_names(names, call.page_size(), call.query.get("cursor"))
    return {"names": page, "count": len(names), "cursor": cursor}


async def get_history(call: ApiCall) -> dict[str, Any]:
    """The messages after a known one; the newest ones if none is known, or if it belongs to another epoch."""
    after, epoch = call.query.get("after"), call.query.get("epoch")
    room = room_of(call)
    if after is None:
        if epoch is not None:
            raise bad_request("query.epoch: is for a request with after")
    elif after > 0 and epoch is None:
        raise bad_request("query.epoch: an id means nothing without its epoch, which after needs")
    limit = call.page_size()
    info = await call.context.store.room_history_info(room, SYSTEM)
    last, oldest = info.last_message_id, info.last_message_id - info.size
    # The newest messages are also read as those after an id, so that one loop applies both bounds.
    recovered, start = False, max(last - limit, oldest)
    if after is not None and epoch in (None, info.cursor.epoch):
        recovered = oldest <= after <= last
        start = int(after) if recovered else start
    messages = await read_messages(call, room, start, limit)
    reached = messages[-1]["id"] if messages else start
    return {
        "epoch": info.cursor.epoch,
        "lastMessageId": last,
        "recovered": recovered,
        "messages": messages,
        "more": reached < last,
    }


async def read_messages(call: ApiCall, room: RoomName, after: int, limit: int) -> list[Message]:
    """The oldest messages after an id, oldest first, up to ``limit`` and to the maximum size of an answer."""
    messages: list[Message] = []
    size = 0
    while len(messages) < limit:
        wanted = min(CHUNK, limit - len(messages))
        chunk = await call.context.store.room_history(
            room, SYSTEM, after, wanted, max_bytes=call.options.max_answer_size
        )
        if not chunk:
            break
        for message in reversed(chunk):
            size += len(as_json(message))
            if messages and size > call.options.max_answer_size:
                return messages
            messages.append(message)
        after = messages[-1]["id"]
    return messages


async def list_users(call: ApiCall) -> dict[str, Any]:
    online = call.query.get("online", True)
    page = await _checked(
        call.service.list_users(_looked_through(call), call.query.get("cursor"), online=online)
    )
    users = [
        {"name": user.name, "sockets": user.sockets} for user in page.items if _is_wanted(call, user.name)
    ]
    return {"users": users, "cursor": page.cursor}


async def get_user(call: ApiCall) -> dict[str, Any]:
    name = call.path["user"]
    await check_user(call)
    whitelist_only = await call.context.store.user_get_mode(UserName(name))
    sockets = await call.context.store.user_sockets(UserName(name))
    return {"name": name, "sockets": len(sockets), "whitelistOnly": whitelist_only}


async def get_unread(call: ApiCall) -> dict[str, Any]:
    who: Any = {"user_name": call.path["user"], "bypass_permissions": True}
    results = await call.service.exec_user_command(who, "roomGetUnread", call.body["rooms"])
    return {"rooms": results[0]}


async def list_sockets(call: ApiCall) -> dict[str, Any]:
    name = call.path["user"]
    await check_user(call)
    found = {str(key): info for key, info in (await call.context.store.user_sockets(UserName(name))).items()}
    ids, cursor = page_of_names([*found], call.page_size(), call.query.get("cursor"))
    sockets = [
        {
            "id": socket_id,
            "instanceId": found[socket_id].instance_id,
            "roomsCount": len(found[socket_id].rooms),
            "rooms": page_of_names([*found[socket_id].rooms], call.options.max_page_size, None)[0],
        }
        for socket_id in ids
    ]
    return {"sockets": sockets, "cursor": cursor}


async def list_instances(call: ApiCall) -> dict[str, Any]:
    own = call.context.instance_id()
    return {
        "instances": [
            {
                "id": each.id,
                "state": str(each.state),
                "age": round(each.age, 3),
                "expiresIn": round(each.expires_in, 3),
                "sockets": each.sockets,
                "isThisOne": each.id == own,
            }
            for each in await call.service.list_instances()
        ]
    }


async def read_statistics(call: ApiCall) -> dict[str, Any]:
    context = call.context
    counters = [context.counters.client_commands, context.counters.server_commands]
    commands = [counts for each in counters for counts in each.by_name.values()]
    messages = [each.by_name["roomMessage"] for each in counters]
    transport = context.transport
    sent = transport.statistics() if isinstance(transport, MeasuredTransport) else None
    return {
        "instanceId": context.instance_id(),
        "time": context.clock.now_ms(),
        "sockets": len(context.sessions),
        "users": context.sessions.user_count,
        "rooms": len(context.delivery.rooms()),
        "commands": sum(len(counts.durations) for counts in commands),
        "failures": sum(counts.errors.total() for counts in commands),
        "messages": sum(len(counts.durations) - counts.errors.total() for counts in messages),
        "deliveries": None if sent is None else sent.deliveries,
        "sendBufferBytes": None if sent is None else sent.send_buffer_bytes,
        "logins": context.counters.logins["ok"],
        "disconnects": context.counters.disconnects.total(),
    }


async def _checked(page: Any) -> Any:
    """A page of the service's list. The cursor may come from another list."""
    try:
        return await page
    except ValueError as error:
        raise bad_request(f"query.{error}") from None


async def read_ban(call: ApiCall) -> dict[str, Any]:
    ban = await call.service.get_ban(call.path["user"])
    if ban is None:
        return {"banned": False, "until": None, "reason": None}
    return {"banned": True, "until": ban.until, "reason": ban.reason}
