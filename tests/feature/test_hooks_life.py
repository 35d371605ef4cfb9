"""The hooks of a service's and a socket's life: logins, joins and leaves, start and close."""

import asyncio
from typing import Any

import pytest

from chat_service import (
    ChatService,
    ChatServiceError,
    CommandCall,
    DisconnectInfo,
    MembershipInfo,
    ServiceClosedError,
)
from chat_service.testing import ConnectionRefused, InProcessClient, wait_until
from tests.support.backends import ONE_STORE
from tests.support.markers import room_marker, told, user_marker
from tests.support.patience import PATIENCE
from tests.support.wire_errors import wire_error
from tests.support.world import World

INTERNAL = "ChatServiceError: Internal server error, incident "


# on_connect


@pytest.mark.covers("hook:on_connect", "notification:loginConfirmed")
@pytest.mark.parametrize(
    ("answer", "auth_data"),
    [
        ("alice", {}),
        (("alice", {"any": {"data": b"1"}}), {"any": {"data": b"1"}}),
        (["alice", {"a": 1}], {"a": 1}),
        (("alice", None), {}),
        (("alice", {"id": "not this"}), {}),
    ],
)
@ONE_STORE
async def test_on_connect_names_the_user(world: World, answer: Any, auth_data: dict[str, Any]) -> None:
    async def on_connect(service: ChatService, socket_id: str) -> Any:
        assert service.transport.get_handshake_data(socket_id).auth == {"token": 5}
        return answer

    instance = await world.start(hooks={"on_connect": on_connect})
    client = await instance.transport.connect(auth={"token": 5})
    assert await client.wait_for("loginConfirmed") == ["alice", {**auth_data, "id": client.id}]
    assert await instance.service.get_instance_sockets() == {client.id: "alice"}


@pytest.mark.covers("hook:on_connect", "notification:loginRejected", "error:noLogin", "error:invalidName")
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, wire_error("noLogin")),
        ((None, {}), wire_error("noLogin")),
        ("", wire_error("invalidName", "")),
        ("a:b", wire_error("invalidName", "a:b")),
        (("a{", {}), wire_error("invalidName", "a{")),
        ("x" * 257, wire_error("invalidName", "x" * 256 + "…")),
        (ChatServiceError("outOfHours", 5), "ChatServiceError: outOfHours"),
        (5, INTERNAL),
        (("alice", 5), INTERNAL),
        (("alice", {}, "more"), INTERNAL),
        ((), INTERNAL),
        (("alice", {"at": object()}), INTERNAL),
        (("alice", {1: 2}), INTERNAL),
        (RuntimeError("secret"), INTERNAL),
    ],
)
@ONE_STORE
async def test_on_connect_rejects(world: World, answer: Any, error: str) -> None:
    def on_connect(service: ChatService, socket_id: str) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    instance = await world.start(hooks={"on_connect": on_connect})
    client = await instance.transport.connect()
    [rejection] = await client.wait_for("loginRejected")
    assert rejection.startswith(error)
    assert "secret" not in rejection
    await wait_until(lambda: not client.connected, "the disconnect")
    assert client.events == []
    assert await instance.service.get_instance_sockets() == {}


@pytest.mark.covers("hook:on_connect", "error:noLogin")
async def test_without_on_connect_nobody_can_log_in(world: World) -> None:
    instance = await world.start(hooks={"on_connect": None})
    client = await instance.transport.connect(query={"userName": "alice"})
    assert await client.wait_for("loginRejected") == [wire_error("noLogin")]
    await wait_until(lambda: not client.connected, "the disconnect")


async def test_a_client_that_disconnects_during_on_connect_leaves_no_trace(world: World) -> None:
    gate, calls = asyncio.Event(), []

    async def on_connect(service: ChatService, socket_id: str) -> str:
        await gate.wait()
        return "alice"

    instance = await world.start(
        hooks={"on_connect": on_connect, "on_disconnect": lambda service, info: calls.append(info)}
    )
    client = await instance.transport.connect()
    going = asyncio.create_task(client.disconnect())
    await asyncio.sleep(0)
    gate.set()
    await going
    assert client.events == []
    assert calls == []
    assert await instance.service.has_user("alice") is False


# on_disconnect


@pytest.mark.covers("hook:on_disconnect")
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_the_info_of_on_disconnect(world: World, kind: str) -> None:
    infos: list[DisconnectInfo] = []

    def on_disconnect(service: ChatService, info: DisconnectInfo) -> None:
        handshake = service.transport.get_handshake_data(info.id)
        assert (handshake.is_connected, handshake.query["userName"]) == (False, "alice")
        infos.append(info)

    async def later(service: ChatService, info: DisconnectInfo) -> None:
        on_disconnect(service, info)

    instance = await world.start(hooks={"on_disconnect": on_disconnect if kind == "plain" else later})
    for room in ("one", "two", "three"):
        await instance.service.add_room(room)
    alice = await instance.joined("alice", "one", "two")
    await instance.joined("alice", "two", "three")
    await alice.disconnect()
    [info] = infos
    assert (info.id, info.user_name, info.nconnected) == (alice.id, "alice", 1)
    assert dict(zip(info.rooms_removed, info.joined_sockets, strict=True)) == {"one": 0, "two": 1}


@pytest.mark.covers("hook:on_disconnect")
async def test_an_error_in_on_disconnect_is_only_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def on_disconnect(service: ChatService, info: DisconnectInfo) -> None:
        raise RuntimeError("broken hook")

    instance = await world.start(hooks={"on_disconnect": on_disconnect})
    alice = await instance.login("alice")
    await alice.disconnect()
    assert "broken hook" in caplog.text
    assert await instance.service.get_instance_sockets() == {}


# on_join and on_leave


class Watched:
    """Join and leave hooks that record their calls."""

    def __init__(self) -> None:
        self.events: list[tuple[str, MembershipInfo]] = []

    def on_join(self, service: ChatService, info: MembershipInfo) -> None:
        self.events.append(("join", info))

    async def on_leave(self, service: ChatService, info: MembershipInfo) -> None:
        self.events.append(("leave", info))

    @property
    def short(self) -> list[tuple[str, str, int]]:
        return [(name, info.room_name, info.njoined) for name, info in self.events]

    @property
    def hooks(self) -> dict[str, Any]:
        return {"on_join": self.on_join, "on_leave": self.on_leave}


@pytest.mark.covers("hook:on_join", "hook:on_leave")
async def test_joins_and_leaves_call_their_hooks(world: World) -> None:
    watched = Watched()
    instance = await world.start(hooks=watched.hooks)
    await instance.service.add_room("room")
    first, second = await instance.joined("alice", "room"), await instance.joined("alice", "room")
    assert await first.call("roomJoin", "room") == 2
    assert await first.call("roomLeave", "room") == 1
    assert await first.call("roomLeave", "room") == 1
    await second.disconnect()
    assert watched.short == [
        ("join", "room", 1),
        ("join", "room", 2),
        ("leave", "room", 1),
        ("leave", "room", 0),
    ]
    assert [info.id for _, info in watched.events] == [first.id, second.id, first.id, second.id]
    assert {info.user_name for _, info in watched.events} == {"alice"}


@pytest.mark.covers("hook:on_leave")
@pytest.mark.parametrize("how", ["list", "mode", "deletion"])
async def test_lost_access_is_a_leave(world: World, how: str) -> None:
    watched = Watched()
    instance, other = await world.start(hooks=watched.hooks), await world.start()
    await instance.service.add_room("room", owner="carol")
    alice = await instance.joined("alice", "room")
    if how == "list":
        await other.service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["alice"])
    elif how == "mode":
        await other.service.exec_user_command(True, "roomSetWhitelistMode", "room", True)
    else:
        await other.service.delete_room("room")
    await alice.wait_for("roomAccessRemoved", "room")
    await wait_until(lambda: len(watched.events) == 2, "on_leave")
    assert watched.short == [("join", "room", 1), ("leave", "room", 0)]


@pytest.mark.covers("hook:on_leave")
@pytest.mark.parametrize("how", ["roomLeave", "disconnect"])
async def test_lost_access_during_a_leave_calls_the_hook_once(world: World, how: str) -> None:
    """The leave is under way already when the access is lost."""
    watched, gate, entered = Watched(), asyncio.Event(), asyncio.Event()

    async def wait(call: CommandCall) -> None:
        entered.set()
        await gate.wait()

    instance = await world.start(hooks={**watched.hooks, "room_leave_before": wait})
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    leaving = asyncio.create_task(alice.emit("roomLeave", "room"))
    await entered.wait()
    going = asyncio.create_task(alice.disconnect()) if how == "disconnect" else None
    await instance.service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["alice"])
    gate.set()
    ack = await leaving
    if going is not None:
        # There is no client for the ack; the disconnect performs the leave.
        await going
    else:
        assert ack == [None, 0]
        # Once more: it waits until everything about the socket and the room is done.
        assert await alice.call("roomLeave", "room") == 0
    assert watched.short == [("join", "room", 1), ("leave", "room", 0)]


@pytest.mark.covers("hook:on_join")
@pytest.mark.parametrize(
    ("error", "expected"),
    [(ChatServiceError("full", 5), "ChatServiceError: full"), (RuntimeError("secret"), INTERNAL)],
)
async def test_on_join_that_raises_undoes_the_join(world: World, error: Exception, expected: str) -> None:
    watched = Watched()

    async def on_join(service: ChatService, info: MembershipInfo) -> None:
        # It is joined while the hook runs.
        assert await service.room_has_in_list("room", "userlist", info.user_name)
        if info.user_name == "alice":
            raise error

    instance = await world.start(
        hooks={"on_join": on_join, "on_leave": watched.on_leave}, enable_userlist_updates=True
    )
    await instance.service.add_room("room")
    bob = await instance.joined("bob", "room")
    other, alice = await instance.login("alice"), await instance.login("alice")
    other.clear()
    for _ in range(2):
        assert (await alice.error("roomJoin", "room")).startswith(expected)
    assert await alice.error("roomMessage", "room", {"textMessage": "hi"}) == wire_error("notJoined", "room")
    assert await instance.service.room_has_in_list("room", "userlist", "alice") is False
    assert await alice.call("listOwnSockets") == {alice.id: [], other.id: []}
    await room_marker(instance.service, "room", bob)
    await user_marker(instance.service, "alice", alice, other)
    # Nothing was announced, the socket gets no events of the room, and without a join there is no leave.
    assert told(bob) == told(other) == told(alice) == []
    assert alice.received("roomMessage") == []
    assert watched.events == []


@pytest.mark.covers("hook:on_join", "notification:roomUserJoined")
async def test_a_join_is_announced_after_on_join(world: World) -> None:
    gate = asyncio.Event()

    async def on_join(service: ChatService, info: MembershipInfo) -> None:
        if info.user_name == "alice":
            await gate.wait()

    instance = await world.start(hooks={"on_join": on_join}, enable_userlist_updates=True)
    await instance.service.add_room("room")
    bob = await instance.joined("bob", "room")
    alice, other = await instance.login("alice"), await instance.login("alice")
    joining = asyncio.create_task(alice.call("roomJoin", "room"))
    await wait_until(lambda: instance.service.room_has_in_list("room", "userlist", "alice"), "the join")
    await room_marker(instance.service, "room", bob)
    assert bob.received("roomUserJoined") == []
    gate.set()
    assert await joining == 1
    assert await bob.wait_for("roomUserJoined") == ["room", "alice"]
    assert await alice.wait_for("roomUserJoined") == ["room", "alice"]
    assert await other.wait_for("roomJoinedEcho") == ["room", alice.id, 1]


@pytest.mark.covers("hook:on_leave")
async def test_an_error_in_on_leave_is_only_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def on_leave(service: ChatService, info: MembershipInfo) -> None:
        raise ChatServiceError("stayHere")

    instance = await world.start(hooks={"on_leave": on_leave})
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    assert await alice.call("roomLeave", "room") == 0
    assert "stayHere" in caplog.text
    assert await instance.service.room_has_in_list("room", "userlist", "alice") is False


@pytest.mark.covers("hook:on_join", "hook:on_leave", "better:order of one socket's commands")
@pytest.mark.parametrize("rooms", [["room"], ["room", "hall"]])
async def test_joins_and_leaves_of_a_socket_and_room_never_overlap(world: World, rooms: list[str]) -> None:
    running: dict[tuple[str, str], int] = {}
    order: dict[tuple[str, str], list[str]] = {}

    def hook(name: str) -> Any:
        async def run(service: ChatService, info: MembershipInfo) -> None:
            key = (info.id, info.room_name)
            assert running.get(key, 0) == 0, "overlap"
            running[key] = 1
            order.setdefault(key, []).append(name)
            for _ in range(5):
                await asyncio.sleep(0)
            running[key] = 0

        return run

    instance = await world.start(hooks={"on_join": hook("join"), "on_leave": hook("leave")})
    for room in rooms:
        await instance.service.add_room(room)
    clients = [await instance.login("alice") for _ in range(2)]
    commands = [
        client.emit(name, room)
        for _ in range(4)
        for name in ("roomJoin", "roomLeave")
        for room in rooms
        for client in clients
    ]
    acks = await asyncio.gather(*commands)
    assert [ack[0] for ack in acks] == [None] * len(acks)
    assert order == {(client.id, room): ["join", "leave"] * 4 for client in clients for room in rooms}


@pytest.mark.covers("hook:on_join", "hook:on_leave")
async def test_disconnects_and_removals_keep_joins_and_leaves_in_order(world: World) -> None:
    order: dict[str, list[str]] = {}

    def hook(name: str) -> Any:
        async def run(service: ChatService, info: MembershipInfo) -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            order.setdefault(info.id, []).append(name)

        return run

    instance = await world.start(hooks={"on_join": hook("join"), "on_leave": hook("leave")})
    await instance.service.add_room("room")
    clients = [await instance.login(f"user{number}") for number in range(8)]

    async def visit(client: InProcessClient) -> None:
        for _ in range(4):
            await asyncio.gather(client.emit("roomJoin", "room"), client.emit("roomLeave", "room"))
            await client.emit("roomJoin", "room")
        await client.disconnect()

    async def kick() -> None:
        for _ in range(5):
            for client in clients:
                user = client.handshake.query["userName"]
                for command in ("roomAddToList", "roomRemoveFromList"):
                    await instance.service.exec_user_command(True, command, "room", "blacklist", [user])
                await asyncio.sleep(0)

    await asyncio.gather(kick(), *map(visit, clients))
    await wait_until(
        lambda: all(events.count("join") == events.count("leave") for events in order.values()), str(order)
    )
    for events in order.values():
        assert events == ["join", "leave"] * (len(events) // 2)
    assert await instance.service.exec_user_command(True, "roomGetAccessList", "room", "userlist") == [[]]


@pytest.mark.covers("hook:on_join", "hook:before", "hook:after")
async def test_hooks_run_commands_on_their_own_room(world: World) -> None:
    done: list[Any] = []

    async def read(service: ChatService, user: str, socket_id: str | None, room: str) -> None:
        context = {"user_name": user, "id": socket_id}
        done.append(await service.exec_user_command(context, "roomHistoryInfo", room))
        [message_id] = await service.exec_user_command(context, "roomMessage", room, {"textMessage": "hi"})
        done.append(message_id)

    async def on_join(service: ChatService, info: MembershipInfo) -> None:
        await read(service, info.user_name, info.id, info.room_name)

    async def around(call: CommandCall) -> None:
        assert call.user_name is not None
        await read(call.service, call.user_name, call.id, call.args[0])

    instance = await world.start(
        hooks={"on_join": on_join, "room_get_owner_before": around, "room_get_owner_after": around}
    )
    await instance.service.add_room("room", owner="alice")
    async with asyncio.timeout(PATIENCE):
        alice = await instance.joined("alice", "room")
        assert await alice.call("roomGetOwner", "room") == "alice"
    assert [item for item in done if isinstance(item, int)] == [1, 2, 3]


@pytest.mark.covers("hook:on_join")
async def test_on_join_may_leave_its_own_room_again(world: World) -> None:
    async def on_join(service: ChatService, info: MembershipInfo) -> None:
        await service.exec_user_command({"user_name": "alice", "id": info.id}, "roomLeave", info.room_name)

    watched = Watched()
    instance = await world.start(hooks={"on_join": on_join, "on_leave": watched.on_leave})
    await instance.service.add_room("room")
    alice = await instance.login("alice")
    async with asyncio.timeout(PATIENCE):
        assert await alice.call("roomJoin", "room") == 1
    assert watched.short == [("leave", "room", 0)]
    assert await instance.service.room_has_in_list("room", "userlist", "alice") is False


@pytest.mark.covers("hook:on_join")
async def test_hooks_that_keep_a_user_in_one_room_do_not_deadlock(world: World) -> None:
    async def on_join(service: ChatService, info: MembershipInfo) -> None:
        context = {"user_name": info.user_name, "id": info.id}
        for room in {"one", "two"} - {info.room_name}:
            await asyncio.sleep(0)
            await service.exec_user_command(context, "roomLeave", room)

    instance = await world.start(hooks={"on_join": on_join})
    for room in ("one", "two"):
        await instance.service.add_room(room)
    alice = await instance.login("alice")
    async with asyncio.timeout(PATIENCE):
        acks = await asyncio.gather(alice.emit("roomJoin", "one"), alice.emit("roomJoin", "two"))
        # One of them gave up, or both were in time.
        assert any(ack[0] is None for ack in acks)
        await alice.call("roomJoin", "one")
        await alice.disconnect()


@pytest.mark.covers("hook:before", "hook:call.args", "hook:on_join")
async def test_a_before_hook_that_changes_the_room_keeps_joins_and_leaves_apart(world: World) -> None:
    running = 0

    async def alone(service: ChatService, info: MembershipInfo) -> None:
        nonlocal running
        running += 1
        assert running == 1
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1

    def redirect(call: CommandCall) -> None:
        call.args[0] = "room"

    instance = await world.start(hooks={"on_join": alone, "on_leave": alone, "room_join_before": redirect})
    await instance.service.add_room("room")
    alice = await instance.login("alice")
    acks = await asyncio.gather(
        alice.emit("roomJoin", "lobby"), alice.emit("roomLeave", "room"), alice.emit("roomJoin", "room")
    )
    assert [ack[0] for ack in acks] == [None] * 3


# on_start and on_close


@pytest.mark.covers("hook:on_start")
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_on_start_comes_before_clients(world: World, kind: str) -> None:
    seen: list[Any] = []

    async def on_start(service: ChatService) -> None:
        await service.add_room("made at the start")
        with pytest.raises(ConnectionRefused):
            await instance.transport.connect()
        seen.append(service)

    instance = world.make(hooks={"on_start": on_start if kind == "coroutine" else seen.append})
    await instance.service.start()
    assert seen == [instance.service]
    await instance.login("alice")
    assert await instance.service.has_room("made at the start") is (kind == "coroutine")


@pytest.mark.covers("hook:on_start")
async def test_on_start_that_raises_aborts_the_start(world: World) -> None:
    closed: list[Any] = []

    def on_start(service: ChatService) -> None:
        raise LookupError("no configuration")

    instance = world.make(
        hooks={"on_start": on_start, "on_close": lambda service, error: closed.append(error)}
    )
    with pytest.raises(LookupError, match="no configuration"):
        await instance.service.start()
    with pytest.raises(ConnectionRefused):
        await instance.transport.connect()
    with pytest.raises(ServiceClosedError):
        await instance.service.has_room("room")
    with pytest.raises(ServiceClosedError):
        await instance.service.start()
    assert closed == []
    await instance.service.close()


@pytest.mark.covers("hook:on_close")
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_on_close_runs_after_clients_left_and_before_the_store_closes(world: World, kind: str) -> None:
    seen: list[Any] = []

    async def on_close(service: ChatService, error: Exception | None) -> None:
        seen.append((error, await service.has_room("room"), await service.get_instance_sockets()))
        assert not alice.connected

    def plain(service: ChatService, error: Exception | None) -> None:
        seen.append((error, True, {}))
        assert not alice.connected

    instance = await world.start(hooks={"on_close": on_close if kind == "coroutine" else plain})
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    await instance.service.close()
    assert seen == [(None, True, {})]


@pytest.mark.covers("hook:on_close")
async def test_an_exception_of_on_close_is_raised_after_everything_is_closed(world: World) -> None:
    def on_close(service: ChatService, error: Exception | None) -> None:
        raise LookupError("cannot say goodbye")

    instance = await world.start(hooks={"on_close": on_close})
    with pytest.raises(LookupError, match="cannot say goodbye"):
        await instance.service.close()
    with pytest.raises(ServiceClosedError):
        await instance.service.has_room("room")
