"""Presence and list changes lost by a broken subscription still reach a room's sockets."""

import pytest

from chat_service.testing import wait_until
from tests.redis.pairs import TEXT, Pair
from tests.redis.proxy import Proxy
from tests.support.markers import room_marker

pytestmark = pytest.mark.redis


async def test_missed_changes_and_messages_arrive_in_order(behind: Pair, proxy: Proxy) -> None:
    await behind.service.change_userlist_updates("room", True)
    await behind.service.change_access_lists_updates("room", True)
    first = await room_marker(behind.service, "room")
    for client in (behind.alice, behind.bob):
        await wait_until(lambda client=client: _heard(client, first), "the room is in step")
    [bus] = [connection for connection in proxy.connections if connection.is_bus]
    proxy.half_open = True
    bus.cut()
    await wait_until(lambda: bus not in proxy.connections, "the bus is lost")
    carol = await behind.second.joined("carol", "room")
    await behind.bob.call("roomMessage", "room", TEXT)
    dave = await behind.second.joined("dave", "room")
    await behind.second.service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["carol"])
    await behind.bob.call("roomMessage", "room", TEXT)
    await dave.call("roomLeave", "room")
    await behind.second.service.exec_user_command(True, "roomRemoveFromList", "room", "blacklist", ["carol"])
    await carol.call("roomJoin", "room")
    proxy.mend()
    proxy.cut()
    await behind.works_again()
    last = await room_marker(behind.service, "room")
    for client in (behind.alice, behind.bob):
        await wait_until(lambda client=client: _heard(client, last), "the last message")
    missed, heard = _told(behind.alice, first), _told(behind.bob, first)
    assert missed == heard
    names = [name for name, *_ in heard if name != "roomMessage"]
    assert names == [
        "roomUserJoined", "roomUserJoined", "roomAccessListAdded", "roomUserLeft", "roomUserLeft",
        "roomAccessListRemoved", "roomUserJoined",
    ]  # fmt: skip


def _heard(client, message_id: int) -> bool:
    return any(message["id"] == message_id for _, message in client.received("roomMessage"))


def _told(client, after: int) -> list[tuple]:
    """Everything the client received from the room after the message ``after``."""
    found, begun = [], False
    for name, args in client.events:
        if name == "roomMessage":
            begun = begun or args[1]["id"] == after
        if begun and name.startswith("room") and args[0] == "room":
            found.append((name, args[1]["id"] if name == "roomMessage" else args[1:]))
    return found
