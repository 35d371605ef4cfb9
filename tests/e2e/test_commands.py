"""Every command and notification once over the wire, from JavaScript."""

from typing import Any

import pytest

from chat_service.commands.table import COMMANDS
from chat_service.protocol.notifications import NOTIFICATIONS
from tests.e2e.conftest import ConnectTo, Serve

TEXT = {"textMessage": "hello"}


class Script:
    """Makes calls and remembers which commands were used."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    async def __call__(self, client: Any, command: str, *args: Any) -> Any:
        self.used.add(command)
        return await client.call(command, *args)


@pytest.mark.covers(*(f"command:{name}" for name in COMMANDS))
@pytest.mark.covers(*(f"notification:{row.name}" for row in NOTIFICATIONS if row.name != "loginRejected"))
async def test_everything_from_javascript(serve: Serve, login: ConnectTo) -> None:
    service = await serve(
        enable_userlist_updates=True,
        enable_access_lists_updates=True,
        enable_direct_conversations=True,
        own_rooms_limit=10,
        hooks={"on_refresh": lambda *_: 4_000_000_000},
    )
    call = Script()
    alice = await login(service, "alice")
    bob = await login(service, "bob")
    phone = await login(service, "alice")
    phone_id = next(id for id, name in (await service.get_instance_sockets()).items() if name == "alice")
    assert (await alice.wait_for("socketConnectEcho"))[1] == 2

    # Logins
    assert await call(alice, "loginRefresh", {"token": "newer"}) == 4_000_000_000

    # Rooms
    assert await call(alice, "roomCreate", "room", False) is None
    assert await call(alice, "roomJoin", "room") == 1
    assert await alice.wait_for("roomUserJoined") == ["room", "alice"]
    assert (await phone.wait_for("roomJoinedEcho"))[::2] == ["room", 1]
    assert await call(bob, "roomJoin", "room") == 1
    assert await alice.wait_for("roomUserJoined") == ["room", "bob"]
    assert await call(alice, "roomGetOwner", "room") == "alice"
    assert await call(alice, "roomGetWhitelistMode", "room") is False
    assert await call(bob, "roomNotificationsInfo", "room") == {
        "enableUserlistUpdates": True,
        "enableAccessListsUpdates": True,
    }
    assert sorted(await call(bob, "roomGetAccessList", "room", "userlist")) == ["alice", "bob"]
    sockets = await call(alice, "listOwnSockets")
    assert sorted(sockets.values()) == [[], ["room"]] and phone_id in sockets

    # Messages and history
    assert [await call(bob, "roomMessage", "room", TEXT) for _ in range(3)] == [1, 2, 3]
    assert (await alice.wait_for("roomMessage"))[1]["author"] == "bob"
    assert [m["id"] for m in await call(alice, "roomHistoryGet", "room", 1, 1)] == [2]
    assert [m["id"] for m in await call(alice, "roomRecentHistory", "room")] == [3, 2, 1]
    info = await call(alice, "roomHistoryInfo", "room")
    assert (info["historySize"], info["lastMessageId"]) == (3, 3)
    assert await call(bob, "roomEvent", "room", "typing", {"on": True}) is None
    event = {"author": "bob", "name": "typing", "data": {"on": True}}
    assert await alice.wait_for("roomEvent") == ["room", event]
    assert await call(alice, "roomMarkRead", "room", 2) == 2
    assert await phone.wait_for("roomReadEcho") == ["room", 2]
    state = {"lastMessageId": 3, "readId": 2, "unread": 1}
    assert await call(phone, "roomGetUnread", ["room"]) == {"room": state}
    seen = await call(alice, "roomUserSeen", "room", "bob")
    assert seen["joined"] is True and seen["timestamp"] > 0
    await call(bob, "roomSetDetails", "room", {"away": False})
    assert await alice.wait_for("roomMemberUpdated") == ["room", "bob", {"away": False}]
    status = await call(alice, "roomGetStatus", "room", {"limit": 9})
    [member] = [member for member in status["members"] if member["userName"] == "bob"]
    assert (member["joinedAt"], member["details"]) == (seen["timestamp"], {"away": False})
    assert await call(bob, "roomLeave", "room") == 0
    assert await alice.wait_for("roomUserLeft") == ["room", "bob"]
    assert (await call(alice, "roomUserSeen", "room", "bob"))["joined"] is False
    assert await call(phone, "roomJoin", "room") == 2
    assert await call(phone, "roomLeave", "room") == 1
    assert (await alice.wait_for("roomLeftEcho"))[::2] == ["room", 1]

    # Access
    await call(bob, "roomJoin", "room")
    assert await call(alice, "roomAddToList", "room", "whitelist", ["carol"]) is None
    assert await bob.wait_for("roomAccessListAdded") == ["room", "whitelist", ["carol"]]
    assert await call(alice, "roomRemoveFromList", "room", "whitelist", ["carol"]) is None
    assert await bob.wait_for("roomAccessListRemoved") == ["room", "whitelist", ["carol"]]
    assert await call(alice, "roomSetWhitelistMode", "room", True) is None
    assert await bob.wait_for("roomAccessRemoved") == ["room"]
    assert await alice.wait_for("roomModeChanged") == ["room", True]
    assert await bob.error("roomMessage", "room", TEXT) == "ChatServiceError: Not joined to room room"
    assert await call(alice, "roomDelete", "room") is None
    assert await alice.wait_for("roomAccessRemoved") == ["room"]

    # Direct messages
    sent = await call(alice, "directMessage", "bob", TEXT)
    assert await bob.wait_for("directMessage") == [sent]
    assert await phone.wait_for("directMessageEcho") == ["bob", sent]
    assert await call(bob, "directAddToList", "blacklist", ["alice"]) is None
    assert await call(bob, "directGetAccessList", "blacklist") == ["alice"]
    assert await alice.error("directMessage", "bob", TEXT) == "ChatServiceError: Action is not allowed"
    assert await call(bob, "directRemoveFromList", "blacklist", ["alice"]) is None
    assert await call(bob, "directSetWhitelistMode", True) is None
    assert await call(bob, "directGetWhitelistMode") is True
    assert await call(bob, "directSetWhitelistMode", False) is None
    pair = "direct:alice:bob"
    assert await call(alice, "directOpen", "bob") == pair
    assert await bob.wait_for("directOpened") == [pair, "alice"]
    listed = await call(bob, "listOwnRooms")
    assert [(room["roomName"], room["kind"]) for room in listed["rooms"]] == [(pair, "direct")]
    assert await call(alice, "systemMessage", {"any": [1]}) is None
    assert await phone.wait_for("systemMessage") == [{"any": [1]}]
    await phone.disconnect()
    assert (await alice.wait_for("socketDisconnectEcho"))[1] == 1

    assert call.used == set(COMMANDS)
