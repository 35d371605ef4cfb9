"""Handlers of the HTTP API that write: messages, rooms, users, and actions of operators."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from chat_service.http_api.api_call import ApiCall, bad_request, check_user
from chat_service.http_api.problems import ApiProblem, as_problem
from chat_service.http_api.reading import read_ban
from chat_service.protocol.arguments import MAX_KEY_LENGTH

#: Maximum number of rooms of one batch that are written concurrently.
PARALLEL_ROOMS = 32


# Messages


async def publish(call: ApiCall) -> dict[str, Any]:
    body = call.body
    key = body.get("idempotencyKey", call.idempotency_key)
    result = await _send(call, call.path["room"], {**body, "idempotencyKey": key})
    call.status = 200 if result["duplicate"] else 201
    call.notes["id"] = result["id"]
    return result


async def _send(call: ApiCall, room: str, given: Mapping[str, Any]) -> dict[str, Any]:
    options = {}
    if given.get("idempotencyKey") is not None:
        options["idempotencyKey"] = given["idempotencyKey"]
    for name in ("expectedLastId", "replyTo", "edits", "deletes", "reactsTo", "unreactsTo"):
        if name in given:
            options[name] = int(given[name])
    for name in ("reaction", "targetEpoch"):
        if name in given:
            options[name] = given[name]
    author = given.get("author")
    who: Any = True if author is None else {"user_name": author, "bypass_permissions": True}
    results = await call.service.exec_user_command(
        who, "roomMessage", room, given["message"], options=options
    )
    extra = results[1] if len(results) > 1 and isinstance(results[1], dict) else {}
    return {"id": results[0], "duplicate": bool(extra.get("duplicate"))}


async def erase_message(call: ApiCall) -> None:
    text = call.path["messageId"]
    if not re.fullmatch("[1-9][0-9]{0,14}", text):
        raise bad_request("path.messageId: expected the id of a message")
    await call.service.erase_message(call.path["room"], int(text))


async def publish_batch(call: ApiCall) -> dict[str, Any]:
    """Send messages to each room one after another, in the order given, and to different rooms
    concurrently.
    """
    entries = call.body["messages"]
    key = call.idempotency_key
    by_room: dict[str, list[int]] = {}
    for number, entry in enumerate(entries):
        by_room.setdefault(entry["room"], []).append(number)
    results: list[dict[str, Any]] = [{}] * len(entries)
    places = asyncio.Semaphore(PARALLEL_ROOMS)

    async def send_all(room: str, numbers: list[int]) -> None:
        async with places:
            for number in numbers:
                entry = entries[number]
                own = entry.get("idempotencyKey", None if key is None else f"{key}:{number}")
                results[number] = await _outcome(call, room, {**entry, "idempotencyKey": own})

    if key is not None and len(f"{key}:{len(entries)}") > MAX_KEY_LENGTH:
        raise bad_request("Idempotency-Key: too long for a batch, whose messages add their numbers to it")
    async with asyncio.TaskGroup() as group:
        for room, numbers in by_room.items():
            group.create_task(send_all(room, numbers))
    failed = sum("error" in result for result in results)
    call.notes.update(messages=len(entries), failed=failed)
    return {"results": results, "failed": failed}


async def _outcome(call: ApiCall, room: str, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return await _send(call, room, given)
    except Exception as error:
        status, body = as_problem(call.context.errors, error, "batch")
        return {"error": body, "status": status}


async def send_direct(call: ApiCall) -> dict[str, Any]:
    author = call.body.get("author")
    who: Any = True if author is None else {"user_name": author, "bypass_permissions": True}
    results = await call.service.exec_user_command(
        who, "directMessage", call.path["user"], call.body["message"]
    )
    return {"message": results[0]}


async def send_event(call: ApiCall) -> None:
    author = call.body.get("author")
    who: Any = True if author is None else {"user_name": author, "bypass_permissions": True}
    event = call.path["room"], call.body["name"], call.body["data"]
    await call.service.exec_user_command(who, "roomEvent", *event)


async def mark_read(call: ApiCall) -> dict[str, Any]:
    who: Any = {"user_name": call.path["user"], "bypass_permissions": True}
    room, message_id = call.path["room"], int(call.body["id"])
    results = await call.service.exec_user_command(who, "roomMarkRead", room, message_id)
    return {"readId": results[0]}


# Rooms

_ROOM_SETTINGS = {
    "owner": "owner",
    "whitelist": "whitelist",
    "blacklist": "blacklist",
    "adminlist": "adminlist",
    "whitelistOnly": "whitelist_only",
    "historyMaxSize": "history_max_size",
    "historyMaxBytes": "history_max_bytes",
    "historyTtl": "history_ttl",
    "emptyTtl": "empty_ttl",
    "enableAccessListsUpdates": "enable_access_lists_updates",
    "enableUserlistUpdates": "enable_userlist_updates",
    "existOk": "exist_ok",
}


async def create_room(call: ApiCall) -> dict[str, Any]:
    settings = {_ROOM_SETTINGS[name]: value for name, value in call.body.items() if name != "name"}
    for name in ("history_max_size", "history_max_bytes"):
        if name in settings:
            settings[name] = int(settings[name])
    await call.service.add_room(call.body["name"], **settings)
    call.notes["room"] = call.body["name"]
    return {"name": call.body["name"]}


async def change_room(call: ApiCall) -> None:
    room, body = call.path["room"], call.body
    call.notes["fields"] = ",".join(body)
    if "owner" in body:
        await call.service.change_room_owner(room, body["owner"])
    if "whitelistOnly" in body:
        await call.service.exec_user_command(True, "roomSetWhitelistMode", room, body["whitelistOnly"])
    if "historyMaxSize" in body:
        await call.service.change_room_history_max_size(room, int(body["historyMaxSize"]))
    if "historyMaxBytes" in body:
        await call.service.change_room_history_max_bytes(room, int(body["historyMaxBytes"]))
    if "historyTtl" in body:
        await call.service.change_room_history_ttl(room, body["historyTtl"])
    if "emptyTtl" in body:
        await call.service.change_room_empty_ttl(room, body["emptyTtl"])
    if "enableUserlistUpdates" in body:
        await call.service.change_userlist_updates(room, body["enableUserlistUpdates"])
    if "enableAccessListsUpdates" in body:
        await call.service.change_access_lists_updates(room, body["enableAccessListsUpdates"])


async def delete_room(call: ApiCall) -> None:
    await call.service.delete_room(call.path["room"])


async def change_room_list(call: ApiCall) -> None:
    """Remove names first, so that there is space for the new ones."""
    where = call.path["room"], call.path["list"]
    call.notes.update({name: len(names) for name, names in call.body.items()})
    if call.body.get("remove"):
        await call.service.exec_user_command(True, "roomRemoveFromList", *where, call.body["remove"])
    if call.body.get("add"):
        await call.service.exec_user_command(True, "roomAddToList", *where, call.body["add"])
    if not any(call.body.values()):
        # There is nothing to do, but the list must exist.
        await call.service.exec_user_command(True, "roomGetAccessList", *where)


# Users


async def create_user(call: ApiCall) -> dict[str, Any]:
    settings = {_ROOM_SETTINGS[name]: value for name, value in call.body.items() if name != "name"}
    await call.service.add_user(call.body["name"], **settings)
    call.notes["user"] = call.body["name"]
    return {"name": call.body["name"]}


async def delete_user(call: ApiCall) -> None:
    await call.service.delete_user(call.path["user"])


async def change_user_list(call: ApiCall) -> None:
    who: Any = {"user_name": call.path["user"], "bypass_permissions": True}
    name = call.path["list"]
    call.notes.update({name: len(names) for name, names in call.body.items()})
    if call.body.get("remove"):
        await call.service.exec_user_command(who, "directRemoveFromList", name, call.body["remove"])
    if call.body.get("add"):
        await call.service.exec_user_command(who, "directAddToList", name, call.body["add"])
    if not any(call.body.values()):
        await call.service.exec_user_command(who, "directGetAccessList", name)


# Actions of operators


async def ban_user(call: ApiCall) -> dict[str, Any]:
    user, body = call.path["user"], call.body
    await call.service.ban_user(user, body.get("seconds"), body.get("reason"))
    return await read_ban(call)


async def unban_user(call: ApiCall) -> None:
    await call.service.unban_user(call.path["user"])


async def kick_user(call: ApiCall) -> None:
    await check_user(call)
    await call.service.disconnect_user_sockets(call.path["user"])


async def kick_socket(call: ApiCall) -> None:
    await call.service.transport.disconnect_socket(call.path["socketId"])


async def recover_instance(call: ApiCall) -> None:
    instance = call.path["instanceId"]
    if instance == call.context.instance_id():
        raise ApiProblem("ownInstance", "This instance is the one that answers, and alive", instance)
    await call.service.instance_recovery(instance)


async def sync_room(call: ApiCall) -> None:
    await call.service.room_state_sync(call.path["room"])


async def sync_user(call: ApiCall) -> None:
    await call.service.user_state_sync(call.path["user"])


async def run_command(call: ApiCall) -> dict[str, Any]:
    body = call.body
    who: dict[str, Any] = {"bypass_permissions": body.get("bypassPermissions", False)}
    if body.get("userName") is not None:
        who["user_name"] = body["userName"]
    if body.get("socketId") is not None:
        who["id"] = body["socketId"]
    call.notes["command"] = call.path["command"]
    results = await call.service.exec_user_command(who, call.path["command"], *body["args"])
    return {"results": results}
