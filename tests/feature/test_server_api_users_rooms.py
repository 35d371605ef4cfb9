"""The server API: users and rooms, with every error."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chat_service import ChatService, ChatServiceError
from chat_service.testing import wait_until
from tests.support.backends import ONE_STORE
from tests.support.markers import room_marker, told
from tests.support.wire_errors import raised
from tests.support.world import Instance, World

BAD_NAMES = ["", "a:b", "a{b", "a}b", "\x00", "\x1f", "\x7f", "a" * 257, "\ud800"]
NO_NAMES = [None, 5, b"a", ["a"], True]


@pytest.fixture
async def instance(world: World) -> Instance:
    return await world.start()


@pytest.fixture
def service(instance: Instance) -> ChatService:
    return instance.service


# Users


@pytest.mark.covers("api:add_user", "api:has_user", "api:user_has_in_list", "error:userExists")
async def test_add_user(service: ChatService) -> None:
    assert await service.has_user("alice") is False
    await service.add_user("alice", whitelist=["bob", "bob"], blacklist=("carol",), whitelist_only=True)
    assert await service.has_user("alice") is True
    assert await service.user_has_in_list("alice", "whitelist", "bob") is True
    assert await service.user_has_in_list("alice", "whitelist", "carol") is False
    assert await service.user_has_in_list("alice", "blacklist", "carol") is True
    assert await service.exec_user_command("alice", "directGetWhitelistMode") == [True]
    assert await raised(service.add_user("alice")) == ("userExists", "alice")
    await service.add_user("plain")
    assert await service.exec_user_command("plain", "directGetWhitelistMode") == [False]
    assert await service.exec_user_command("plain", "directGetAccessList", "whitelist") == [[]]


@pytest.mark.covers("api:add_user", "error:userExists")
async def test_a_user_who_logged_in_once_is_a_user(instance: Instance) -> None:
    alice = await instance.login("alice")
    assert await raised(instance.service.add_user("alice")) == ("userExists", "alice")
    await alice.disconnect()
    assert await instance.service.has_user("alice") is True


@pytest.mark.covers("api:add_user", "option:direct_list_size_limit", "error:listLimitExceeded")
async def test_add_user_holds_to_the_list_limit(world: World) -> None:
    service = (await world.start(direct_list_size_limit=2)).service
    await service.add_user("full", whitelist=["a", "b", "a"], blacklist=["a", "b"])
    error = await raised(service.add_user("over", whitelist=["a", "b", "c"]))
    assert error == ("listLimitExceeded", "whitelist")
    assert await service.has_user("over") is False


@pytest.mark.covers("api:delete_user", "error:userOnline", "error:noUser")
async def test_delete_user(instance: Instance) -> None:
    service = instance.service
    assert await raised(service.delete_user("alice")) == ("noUser", "alice")
    alice = await instance.login("alice")
    await alice.call("directAddToList", "whitelist", ["bob"])
    assert await raised(service.delete_user("alice")) == ("userOnline", "alice")
    await alice.disconnect()
    await service.delete_user("alice")
    assert await service.has_user("alice") is False
    alice = await instance.login("alice")
    assert await alice.call("directGetAccessList", "whitelist") == []


@pytest.mark.covers("api:user_has_in_list", "error:noList", "error:noUser")
async def test_user_has_in_list_errors(service: ChatService) -> None:
    assert await raised(service.user_has_in_list("alice", "whitelist", "bob")) == ("noUser", "alice")
    await service.add_user("alice")
    assert await raised(service.user_has_in_list("alice", "adminlist", "bob")) == ("noList", "adminlist")


@pytest.mark.covers("api:has_direct_access", "error:noUser")
async def test_has_direct_access(service: ChatService) -> None:
    assert await raised(service.has_direct_access("alice", "bob")) == ("noUser", "alice")
    await service.add_user("alice", blacklist=["carol"])
    await service.add_user("shy", whitelist=["bob"], whitelist_only=True)
    assert await service.has_direct_access("alice", "bob") is True
    assert await service.has_direct_access("alice", "carol") is False
    assert await service.has_direct_access("alice", "alice") is False
    assert await service.has_direct_access("shy", "bob") is True
    assert await service.has_direct_access("shy", "alice") is False


@pytest.mark.covers("api:disconnect_user_sockets")
async def test_disconnect_user_sockets_on_all_instances(world: World) -> None:
    first, second, third = [await world.start() for _ in range(3)]
    alices = [await instance.login("alice") for instance in (first, second, second)]
    bob = await second.login("bob")
    await third.service.disconnect_user_sockets("alice")
    for alice in alices:
        await wait_until(lambda alice=alice: not alice.connected, "the disconnect")
    assert bob.connected
    assert await bob.call("listOwnSockets") == {bob.id: []}
    await third.service.disconnect_user_sockets("nobody")


# Rooms


@pytest.mark.covers("api:add_room", "api:add_user")
async def test_exist_ok_accepts_existing_users_and_rooms(service: ChatService) -> None:
    for owner in ("alice", "bob"):
        await service.add_room("room", owner=owner, exist_ok=True)
        await service.add_user("carol", blacklist=[owner], exist_ok=True)
    # The first one counts.
    assert await service.exec_user_command(True, "roomGetOwner", "room") == ["alice"]
    assert await service.user_has_in_list("carol", "blacklist", "alice")
    assert not await service.user_has_in_list("carol", "blacklist", "bob")
    # Other errors are not swallowed.
    assert await raised(service.add_room("a:b", exist_ok=True)) == ("invalidName", "a:b")
    assert await raised(service.add_user("a:b", exist_ok=True)) == ("invalidName", "a:b")


@pytest.mark.covers("api:add_room", "api:has_room", "api:room_has_in_list", "error:roomExists")
async def test_add_room(service: ChatService) -> None:
    assert await service.has_room("room") is False
    await service.add_room(
        "room",
        owner="alice",
        whitelist=["bob", "bob"],
        blacklist=["carol"],
        adminlist=["dave"],
        whitelist_only=True,
        history_max_size=7,
        enable_access_lists_updates=True,
        enable_userlist_updates=True,
    )
    assert await service.has_room("room") is True

    async def ask(command: str, *args: Any) -> Any:
        [answer] = await service.exec_user_command(True, command, "room", *args)
        return answer

    assert await ask("roomGetOwner") == "alice"
    assert await ask("roomGetAccessList", "whitelist") == ["bob"]
    assert await ask("roomGetAccessList", "blacklist") == ["carol"]
    assert await ask("roomGetAccessList", "adminlist") == ["dave"]
    assert await ask("roomGetWhitelistMode") is True
    assert (await ask("roomHistoryInfo"))["historyMaxSize"] == 7
    assert await ask("roomNotificationsInfo") == {
        "enableUserlistUpdates": True,
        "enableAccessListsUpdates": True,
    }
    for list_name, name in (("whitelist", "bob"), ("blacklist", "carol"), ("adminlist", "dave")):
        assert await service.room_has_in_list("room", list_name, name) is True
        assert await service.room_has_in_list("room", list_name, "alice") is False
    assert await raised(service.add_room("room")) == ("roomExists", "room")


@pytest.mark.covers(
    "api:add_room",
    "option:history_max_size",
    "option:enable_userlist_updates",
    "option:enable_access_lists_updates",
)
async def test_add_room_defaults_to_the_services_options(world: World) -> None:
    service = (
        await world.start(history_max_size=0, enable_userlist_updates=True, enable_access_lists_updates=True)
    ).service
    await service.add_room("default")
    await service.add_room(
        "own", history_max_size=3, enable_userlist_updates=False, enable_access_lists_updates=False
    )
    for room, size, enabled in (("default", 0, True), ("own", 3, False)):
        [info] = await service.exec_user_command(True, "roomHistoryInfo", room)
        assert info["historyMaxSize"] == size
        [notifications] = await service.exec_user_command(True, "roomNotificationsInfo", room)
        assert notifications == {"enableUserlistUpdates": enabled, "enableAccessListsUpdates": enabled}
        assert await service.exec_user_command(True, "roomGetOwner", room) == [None]


@pytest.mark.covers("api:add_room", "option:room_list_size_limit", "error:listLimitExceeded")
@pytest.mark.parametrize("list_name", ["whitelist", "blacklist", "adminlist"])
async def test_add_room_holds_to_the_list_limit(world: World, list_name: str) -> None:
    service = (await world.start(room_list_size_limit=2)).service
    await service.add_room("full", **{list_name: ["a", "b", "b"]})  # type: ignore[arg-type]
    work = service.add_room("over", **{list_name: ["a", "b", "c"]})  # type: ignore[arg-type]
    assert await raised(work) == ("listLimitExceeded", list_name)
    assert await service.has_room("over") is False


@pytest.mark.covers("api:delete_room", "error:noRoom", "notification:roomAccessRemoved")
async def test_delete_room(world: World) -> None:
    first, second = await world.start(), await world.start()
    assert await raised(first.service.delete_room("room")) == ("noRoom", "room")
    await first.service.add_room("room", owner="alice")
    alice, bob = await first.joined("alice", "room"), await second.joined("bob", "room")
    await second.service.delete_room("room")
    for client in (alice, bob):
        assert await client.wait_for("roomAccessRemoved") == ["room"]
    assert await first.service.has_room("room") is False
    await first.service.add_room("room")
    assert await second.service.room_has_in_list("room", "userlist", "bob") is False


@pytest.mark.covers("api:room_has_in_list", "error:noList", "error:noRoom")
async def test_room_has_in_list(instance: Instance) -> None:
    service = instance.service
    assert await raised(service.room_has_in_list("room", "whitelist", "bob")) == ("noRoom", "room")
    await service.add_room("room")
    assert await raised(service.room_has_in_list("room", "greylist", "bob")) == ("noList", "greylist")
    assert await service.room_has_in_list("room", "userlist", "bob") is False
    await instance.joined("bob", "room")
    assert await service.room_has_in_list("room", "userlist", "bob") is True


@pytest.mark.covers("api:has_room_access", "error:noRoom")
async def test_has_room_access(service: ChatService) -> None:
    assert await raised(service.has_room_access("room", "bob")) == ("noRoom", "room")
    await service.add_room(
        "room", owner="owner", adminlist=["admin"], whitelist=["white"], blacklist=["black", "owner", "admin"]
    )
    expected = {"owner": True, "admin": True, "white": True, "black": False, "other": True}
    assert {user: await service.has_room_access("room", user) for user in expected} == expected
    await service.exec_user_command(True, "roomSetWhitelistMode", "room", True)
    expected["other"] = False
    assert {user: await service.has_room_access("room", user) for user in expected} == expected


@pytest.mark.covers("api:change_room_owner", "error:noRoom", "notification:roomAccessRemoved")
async def test_change_room_owner(instance: Instance) -> None:
    service = instance.service
    assert await raised(service.change_room_owner("room", "bob")) == ("noRoom", "room")
    await service.add_room("room", owner="alice", whitelist=["bob"], whitelist_only=True)
    alice, bob = await instance.joined("alice", "room"), await instance.joined("bob", "room")
    await service.change_room_owner("room", "bob")
    # Nothing but the ownership let alice in.
    assert await alice.wait_for("roomAccessRemoved") == ["room"]
    assert await bob.call("roomGetOwner", "room") == "bob"
    await service.change_room_owner("room", None)
    assert await bob.call("roomGetOwner", "room") is None
    await room_marker(service, "room", bob)
    assert told(bob) == []


@pytest.mark.covers("api:change_room_history_max_size", "error:noRoom", "option:history_max_size")
async def test_change_room_history_max_size(service: ChatService) -> None:
    assert await raised(service.change_room_history_max_size("room", 5)) == ("noRoom", "room")
    await service.add_room("room", history_max_size=4)

    async def post(count: int) -> None:
        for _ in range(count):
            await service.exec_user_command(True, "roomMessage", "room", {"textMessage": "hi"})

    async def ids() -> list[int]:
        [messages] = await service.exec_user_command(True, "roomRecentHistory", "room")
        return [message["id"] for message in messages]

    await post(6)
    assert await ids() == [6, 5, 4, 3]
    await service.change_room_history_max_size("room", 2)
    assert await ids() == [6, 5]
    await service.change_room_history_max_size("room", 3)
    await post(2)
    assert await ids() == [8, 7, 6]
    await service.change_room_history_max_size("room", 0)
    await post(1)
    assert await ids() == []
    await service.change_room_history_max_size("room", 1)
    await post(1)
    assert await ids() == [10]


@pytest.mark.covers("api:change_userlist_updates", "error:noRoom")
async def test_change_userlist_updates(instance: Instance) -> None:
    service = instance.service
    assert await raised(service.change_userlist_updates("room", True)) == ("noRoom", "room")
    await service.add_room("room", enable_userlist_updates=False)
    alice = await instance.joined("alice", "room")
    await instance.joined("quiet", "room")
    await service.change_userlist_updates("room", True)
    await instance.joined("bob", "room")
    assert await alice.wait_for("roomUserJoined") == ["room", "bob"]
    await service.change_userlist_updates("room", False)
    await instance.joined("carol", "room")
    await room_marker(service, "room", alice)
    assert told(alice) == []


@pytest.mark.covers("api:change_access_lists_updates", "error:noRoom")
async def test_change_access_lists_updates(instance: Instance) -> None:
    service = instance.service
    assert await raised(service.change_access_lists_updates("room", True)) == ("noRoom", "room")
    await service.add_room("room", enable_access_lists_updates=False)
    alice = await instance.joined("alice", "room")
    for enabled, name in ((False, "one"), (True, "two"), (False, "three")):
        await service.change_access_lists_updates("room", enabled)
        await service.exec_user_command(True, "roomAddToList", "room", "whitelist", [name])
    await room_marker(service, "room", alice)
    assert told(alice) == [("roomAccessListAdded", ["room", "whitelist", ["two"]])]


# Names and values

NameCall = Callable[[ChatService, Any], Awaitable[Any]]
NAME_CALLS: dict[str, NameCall] = {
    "add_user": lambda service, name: service.add_user(name),
    "add_user whitelist": lambda service, name: service.add_user("u", whitelist=[name]),
    "add_user blacklist": lambda service, name: service.add_user("u", blacklist=["ok", name]),
    "delete_user": lambda service, name: service.delete_user(name),
    "has_user": lambda service, name: service.has_user(name),
    "user_has_in_list": lambda service, name: service.user_has_in_list(name, "whitelist", "a"),
    "has_direct_access recipient": lambda service, name: service.has_direct_access(name, "a"),
    "has_direct_access sender": lambda service, name: service.has_direct_access("a", name),
    "disconnect_user_sockets": lambda service, name: service.disconnect_user_sockets(name),
    "add_room": lambda service, name: service.add_room(name),
    "add_room whitelist": lambda service, name: service.add_room("r", whitelist=[name]),
    "add_room blacklist": lambda service, name: service.add_room("r", blacklist=[name]),
    "add_room adminlist": lambda service, name: service.add_room("r", adminlist=[name]),
    "delete_room": lambda service, name: service.delete_room(name),
    "has_room": lambda service, name: service.has_room(name),
    "room_has_in_list": lambda service, name: service.room_has_in_list(name, "whitelist", "a"),
    "has_room_access room": lambda service, name: service.has_room_access(name, "a"),
    "has_room_access user": lambda service, name: service.has_room_access("a", name),
    "change_room_owner room": lambda service, name: service.change_room_owner(name, "a"),
    "change_room_history_max_size": lambda service, name: service.change_room_history_max_size(name, 1),
    "change_access_lists_updates": lambda service, name: service.change_access_lists_updates(name, True),
    "change_userlist_updates": lambda service, name: service.change_userlist_updates(name, True),
    "user_state_sync": lambda service, name: service.user_state_sync(name),
    "room_state_sync": lambda service, name: service.room_state_sync(name),
}


@pytest.mark.covers("error:invalidName")
@pytest.mark.parametrize("call", NAME_CALLS.values(), ids=NAME_CALLS)
@ONE_STORE
async def test_every_name_is_checked(service: ChatService, call: NameCall) -> None:
    for name in BAD_NAMES:
        assert await raised(call(service, name)) == ("invalidName", name)
    for no_name in NO_NAMES:
        with pytest.raises((TypeError, ChatServiceError)):
            await call(service, no_name)
    assert await service.has_user("u") is False
    assert await service.has_room("r") is False


@pytest.mark.covers("error:invalidName")
@pytest.mark.parametrize("name", BAD_NAMES)
@ONE_STORE
async def test_names_of_owners_are_checked(service: ChatService, name: str) -> None:
    assert await raised(service.add_room("room", owner=name)) == ("invalidName", name)
    await service.add_room("room")
    assert await raised(service.change_room_owner("room", name)) == ("invalidName", name)


@pytest.mark.covers("option:name_length_limit")
async def test_the_length_limit_of_names(world: World) -> None:
    service = (await world.start(name_length_limit=5)).service
    await service.add_user("12345")
    assert await raised(service.add_user("123456")) == ("invalidName", "123456")


@pytest.mark.parametrize("names", ["bob", 5, None, {"bob": object()}, [["bob"]], [b"bob"]])
@ONE_STORE
async def test_lists_are_lists_of_names(service: ChatService, names: Any) -> None:
    for call in (
        lambda: service.add_user("u", whitelist=names),
        lambda: service.add_room("r", adminlist=names),
    ):
        with pytest.raises(TypeError):
            await call()


@pytest.mark.parametrize("value", [1, 0, "yes", [], None])
@ONE_STORE
async def test_flags_are_booleans(service: ChatService, value: Any) -> None:
    await service.add_room("room")
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: service.add_user("u", whitelist_only=value),
        lambda: service.add_room("r", whitelist_only=value),
        lambda: service.change_access_lists_updates("room", value),
        lambda: service.change_userlist_updates("room", value),
    ]
    if value is not None:
        calls.append(lambda: service.add_room("r", enable_userlist_updates=value))
        calls.append(lambda: service.add_room("r", enable_access_lists_updates=value))
    for call in calls:
        with pytest.raises(TypeError, match="expected True or False"):
            await call()


@pytest.mark.parametrize("size", [-1, 1.5, "5", True, [1]])
@ONE_STORE
async def test_history_sizes_are_counts(service: ChatService, size: Any) -> None:
    await service.add_room("room")
    with pytest.raises(ValueError, match="history_max_size: expected a whole number, 0 or more"):
        await service.add_room("r", history_max_size=size)
    with pytest.raises(ValueError, match="history_max_size: expected a whole number, 0 or more"):
        await service.change_room_history_max_size("room", size)
