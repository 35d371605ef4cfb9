"""Logins: the name from the hook, confirmation or rejection, and early commands."""

import asyncio
from typing import Any

import pytest

from chat_service import ChatService, ChatServiceError, CommandCall
from chat_service.commands.table import TABLE
from chat_service.testing import wait_until
from tests.support.backends import ONE_STORE
from tests.support.markers import told, user_marker
from tests.support.spread import StartSpread
from tests.support.wire_errors import wire_error
from tests.support.world import World


async def rejected(world: World, answer: Any, **options: Any) -> Any:
    """Connect to a service whose hook answers or raises this; return the error of the rejection."""

    async def on_connect(service: ChatService, socket_id: str) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    instance = await world.start(hooks={"on_connect": on_connect}, **options)
    client = await instance.transport.connect()
    await wait_until(lambda: not client.connected, "the end of the connection")
    [(name, [error])] = client.events
    assert name == "loginRejected"
    return error


# Success


@pytest.mark.covers("notification:loginConfirmed", "hook:on_connect")
@pytest.mark.parametrize(
    ("answer", "auth_data"),
    [
        ("alice", {}),
        (("alice", None), {}),
        (("alice", {}), {}),
        (("alice", {"role": "x", "n": [1, b"\x00"]}), {"role": "x", "n": [1, b"\x00"]}),
        (("alice", {"id": "forged"}), {}),
    ],
)
@ONE_STORE
async def test_a_login_is_confirmed_once(world: World, answer: Any, auth_data: dict[str, Any]) -> None:
    instance = await world.start(hooks={"on_connect": lambda service, socket_id: answer})
    client = await instance.transport.connect()
    assert await client.wait_for("loginConfirmed") == ["alice", {**auth_data, "id": client.id}]
    await user_marker(instance.service, "alice", client)
    assert (told(client), client.connected) == ([], True)
    assert await client.call("listOwnSockets") == {client.id: []}


@pytest.mark.covers("hook:on_connect", "api:get_handshake_data")
async def test_the_hook_sees_the_handshake(world: World) -> None:
    async def on_connect(service: ChatService, socket_id: str) -> Any:
        handshake = service.transport.get_handshake_data(socket_id)
        assert handshake.is_connected
        return handshake.auth["name"], {"q": handshake.query["q"], "h": handshake.headers["x-h"]}

    instance = await world.start(hooks={"on_connect": on_connect})
    client = await instance.transport.connect(query={"q": "1"}, headers={"x-h": "2"}, auth={"name": "alice"})
    expected = ["alice", {"q": "1", "h": "2", "id": client.id}]
    assert await client.wait_for("loginConfirmed") == expected


@pytest.mark.covers("notification:loginConfirmed")
@pytest.mark.parametrize(
    "name", ["a", " ", "é🙂", "a b/c#d?", "-" * 256, "🙂" * 256, "__proto__", "admin'\""]
)
async def test_valid_names(spread: StartSpread, name: str) -> None:
    nodes = await spread()
    await nodes.service.add_room(name, owner=name)
    other = await nodes[0].joined("other", name)
    client = await nodes[1].joined(name, name)
    await client.call("roomMessage", name, {"textMessage": "x"})
    _, message = await other.wait_for("roomMessage", name)
    assert message["author"] == name
    await other.call("directMessage", name, {"textMessage": "x"})
    await client.wait_for("directMessage")
    assert sorted(await other.call("roomGetAccessList", name, "userlist")) == sorted([name, "other"])


# Failure


@pytest.mark.covers("notification:loginRejected", "error:noLogin", "hook:on_connect")
@pytest.mark.parametrize("answer", [None, (None, {"a": 1}), ChatServiceError("noLogin")])
async def test_without_a_name_there_is_no_login(world: World, answer: Any) -> None:
    assert await rejected(world, answer) == wire_error("noLogin")


@pytest.mark.covers("error:noLogin", "notification:loginRejected")
async def test_without_a_hook_there_is_no_login(world: World) -> None:
    instance = await world.start(hooks={"on_connect": None})
    client = await instance.transport.connect(query={"userName": "alice"})
    assert await client.wait_for("loginRejected") == [wire_error("noLogin")]
    await wait_until(lambda: not client.connected, "the end of the connection")
    assert client.events == []


@pytest.mark.covers("error:invalidName", "notification:loginRejected", "option:name_length_limit")
@pytest.mark.parametrize("name", ["", "a:b", "{a", "a}", "a\x00", "\x1f", "\x7f", "\n", "x" * 257])
@ONE_STORE
async def test_bad_names_are_rejected(world: World, name: str) -> None:
    shown = name if len(name) <= 256 else name[:256] + "…"
    assert await rejected(world, name) == wire_error("invalidName", shown)


@pytest.mark.covers("option:name_length_limit", "error:invalidName")
async def test_the_length_of_names_is_an_option(world: World) -> None:
    instance = await world.start(name_length_limit=5)
    alice = await instance.login("alice")
    await alice.call("roomCreate", "12345", False)
    assert await alice.error("roomCreate", "123456", False) == wire_error("invalidName", "123456")
    await alice.call("directAddToList", "whitelist", ["12345"])
    error = await alice.error("directAddToList", "whitelist", ["123456"])
    assert error == wire_error("invalidName", "123456")


@pytest.mark.covers("notification:loginRejected", "hook:on_connect")
async def test_an_error_of_the_application_is_passed_on(world: World) -> None:
    class Banned(ChatServiceError):
        texts = {"banned": "Banned for %d s, %s"}  # noqa: RUF012

    assert await rejected(world, Banned("banned", 5, "sorry")) == "ChatServiceError: Banned for 5 s, sorry"


@pytest.mark.covers("better:no leak of internals", "notification:loginRejected", "error:internalError")
@pytest.mark.parametrize(
    "answer", [RuntimeError("secret"), 5, ["alice"], ("alice", "secret"), ("alice", {}, 1), (5, {}), b"alice"]
)
@ONE_STORE
async def test_internals_of_a_login_stay_inside(world: World, answer: Any) -> None:
    error = await rejected(world, answer)
    assert error.startswith("ChatServiceError: Internal server error, incident ")
    assert "secret" not in error and "alice" not in error


@pytest.mark.covers("error:internalError", "hook:on_connect")
@pytest.mark.parametrize(
    "data", [{"a": float("nan")}, {1: 2}, {"a": object()}, {"a": 2**64}, {"a": "\ud800"}]
)
@ONE_STORE
async def test_auth_data_that_cannot_be_sent_rejects_the_login(world: World, data: dict) -> None:
    assert "Internal server error" in await rejected(world, ("alice", data))


@pytest.mark.covers("notification:loginRejected", "option:use_raw_error_objects")
async def test_a_rejection_may_be_a_raw_object(world: World) -> None:
    error = await rejected(world, "a:b", use_raw_error_objects=True)
    assert error == {"name": "ChatServiceError", "code": "invalidName", "args": ["a:b"]}


@pytest.mark.covers("notification:loginRejected", "notification:socketConnectEcho")
async def test_a_rejected_socket_leaves_no_trace(spread: StartSpread) -> None:
    def on_connect(service: ChatService, socket_id: str) -> str:
        query = service.transport.get_handshake_data(socket_id).query
        if "reject" in query:
            raise ChatServiceError("notAllowed")
        return query["userName"]

    nodes = await spread(hooks={"on_connect": on_connect})
    alice = await nodes[0].login("alice")
    other = await nodes[1].transport.connect(query={"userName": "alice", "reject": "1"})
    assert await other.wait_for("loginRejected") == [wire_error("notAllowed")]
    await wait_until(lambda: not other.connected, "the end of the connection")
    await user_marker(nodes.service, "alice", alice)
    assert told(alice) == []
    assert await alice.call("listOwnSockets") == {alice.id: []}


# Too early


@pytest.fixture
def gate() -> asyncio.Event:
    """Opens the logins of ``waiting``."""
    return asyncio.Event()


def waiting(gate: asyncio.Event) -> Any:
    async def on_connect(service: ChatService, socket_id: str) -> str:
        await gate.wait()
        return "alice"

    return on_connect


@pytest.mark.covers("better:noLogin before login", "better:noCommand for unknown events", "error:noCommand")
async def test_commands_before_the_login_wait_for_it(world: World, gate: asyncio.Event) -> None:
    """They run in the order in which they were sent, and before those that come later."""
    instance = await world.start(hooks={"on_connect": waiting(gate)}, enable_rooms_management=True)
    client = await instance.transport.connect()
    order: list[int] = []

    async def send(number: int, event: str, *args: Any) -> list[Any]:
        ack = await client.emit(event, *args)
        order.append(number)
        return ack

    sent: list[tuple[Any, ...]] = [("roomCreate", "room", False), ("roomJoin", "room")]
    sent += [("roomMessage", "room", {"textMessage": str(number)}) for number in range(10)]
    early = [asyncio.create_task(send(number, *args)) for number, args in enumerate(sent)]
    unknown = asyncio.create_task(client.emit("whatever"))
    await asyncio.wait([unknown, *early], timeout=0.02)
    assert client.events == [] and not any(task.done() for task in [unknown, *early])
    gate.set()
    await client.wait_for("loginConfirmed")
    assert await unknown == [wire_error("noCommand", "whatever"), None]
    late = asyncio.create_task(send(len(sent), "roomMessage", "room", {"textMessage": "late"}))
    acks = await asyncio.gather(*early, late)
    assert acks == [[None, None], [None, 1], *([None, number] for number in range(1, 12))]
    assert order == list(range(len(sent) + 1))
    history = await client.call("roomRecentHistory", "room")
    assert [message["textMessage"] for message in history] == ["late", *map(str, range(9, -1, -1))]


@pytest.mark.covers("better:noLogin before login", "error:noLogin")
async def test_commands_before_a_rejected_login_are_refused(world: World, gate: asyncio.Event) -> None:
    async def on_connect(service: ChatService, socket_id: str) -> None:
        await gate.wait()

    instance = await world.start(hooks={"on_connect": on_connect})
    client = await instance.transport.connect()
    early = [asyncio.create_task(client.emit(command.name)) for command in TABLE]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*early) == [[wire_error("noLogin"), None]] * len(TABLE)
    assert client.received("loginRejected") == [[wire_error("noLogin")]]
    await wait_until(lambda: not client.connected, "the end of the connection")


@ONE_STORE
@pytest.mark.covers("api:bind_handler", "hook:on_connect")
async def test_custom_events_before_the_login_wait_for_it(world: World, gate: asyncio.Event) -> None:
    """Also those that the hook binds only later, and in the order in which all was sent."""
    ran: list[Any] = []

    def note(value: int) -> int:
        ran.append(value)
        return value

    async def on_connect(service: ChatService, socket_id: str) -> str:
        service.transport.bind_handler(socket_id, "bound", note)
        await gate.wait()
        service.transport.bind_handler(socket_id, "late", note)
        return "alice"

    def before(call: CommandCall) -> None:
        ran.append("command")

    instance = await world.start(hooks={"on_connect": on_connect})
    instance.service.before("listOwnSockets")(before)
    client = await instance.transport.connect()
    sent: list[tuple[str, list[int]]] = [
        ("bound", [1]),
        ("late", [2]),
        ("listOwnSockets", []),
        ("bound", [3]),
    ]
    early = [asyncio.create_task(client.emit(event, *args)) for event, args in sent]
    await asyncio.wait(early, timeout=0.02)
    assert ran == [] and not any(task.done() for task in early)
    gate.set()
    assert await asyncio.gather(*early) == [[None, 1], [None, 2], [None, {client.id: []}], [None, 3]]
    assert ran == [1, 2, "command", 3]


@ONE_STORE
@pytest.mark.covers("api:bind_handler", "error:noLogin")
async def test_custom_events_before_a_rejected_login_are_refused(world: World, gate: asyncio.Event) -> None:
    ran: list[Any] = []

    async def on_connect(service: ChatService, socket_id: str) -> None:
        service.transport.bind_handler(socket_id, "bound", ran.append)
        await gate.wait()

    instance = await world.start(hooks={"on_connect": on_connect}, early_commands_limit=2)
    client = await instance.transport.connect()
    early = [asyncio.create_task(client.emit(event, 1)) for event in ("bound", "unknown", "bound")]
    done, _ = await asyncio.wait(early, timeout=0.02)
    # They count for the limit, too.
    assert done == {early[2]}
    gate.set()
    assert await asyncio.gather(*early) == [[wire_error("noLogin"), None]] * 3
    assert ran == []


@pytest.mark.covers("option:early_commands_limit", "error:noLogin")
async def test_early_commands_are_limited(world: World, gate: asyncio.Event) -> None:
    instance = await world.start(hooks={"on_connect": waiting(gate)}, early_commands_limit=3)
    client = await instance.transport.connect()
    early = [asyncio.create_task(client.emit("listOwnSockets")) for _ in range(5)]
    done, pending = await asyncio.wait(early, timeout=0.05)
    assert [task.result() for task in done] == [[wire_error("noLogin"), None]] * 2
    gate.set()
    await asyncio.wait(pending)
    assert [task.result() for task in early[:3]] == [[None, {client.id: []}]] * 3


@pytest.mark.covers("option:login_timeout", "notification:loginRejected", "error:timeout")
async def test_a_login_that_takes_too_long_is_rejected(world: World) -> None:
    ended = asyncio.Event()

    async def on_connect(service: ChatService, socket_id: str) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "alice"

    instance = await world.start(hooks={"on_connect": on_connect}, login_timeout=0.1)
    client = await instance.transport.connect()
    early = asyncio.create_task(client.emit("listOwnSockets"))
    assert await client.wait_for("loginRejected") == [wire_error("timeout")]
    assert await early == [wire_error("noLogin"), None]
    await wait_until(lambda: not client.connected, "the end of the connection")
    assert ended.is_set()


@pytest.mark.covers("hook:on_connect", "option:login_timeout")
async def test_a_login_ends_when_its_client_leaves(world: World) -> None:
    """Also if the hook does not let itself be cancelled: its result is then ignored."""
    entered, ended, goes_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def on_connect(service: ChatService, socket_id: str) -> str:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await goes_on.wait()
        ended.set()
        return "alice"

    instance = await world.start(hooks={"on_connect": on_connect})
    client = await instance.transport.connect()
    await entered.wait()
    leaving = asyncio.create_task(client.disconnect())
    await asyncio.sleep(0)
    goes_on.set()
    await leaving
    await ended.wait()
    assert client.events == []
    assert not await instance.service.has_user("alice")


@pytest.mark.covers("better:noCommand for unknown events", "error:noCommand", "api:exec_user_command")
@pytest.mark.parametrize(
    "event", ["whatever", "", "roomjoin", "room_join", "loginConfirmed", "__init__", "connect", "disconnect"]
)
@ONE_STORE
async def test_events_that_nobody_handles(world: World, event: str) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    for args in ((), ("x", 1, None)):
        assert await alice.emit(event, *args) == [wire_error("noCommand", event), None]
    assert await alice.call("listOwnSockets") == {alice.id: []}
    with pytest.raises(ChatServiceError) as caught:
        await instance.service.exec_user_command("alice", event)
    assert str(caught.value) == f"No such command {event}"


@pytest.mark.covers("better:noLogin before login")
async def test_a_flood_before_the_login_is_disconnected(world: World, gate: asyncio.Event) -> None:
    instance = await world.start(hooks={"on_connect": waiting(gate)})
    client, patient = await instance.transport.connect(), await instance.transport.connect()
    flood = [asyncio.create_task(client.emit("listOwnSockets")) for _ in range(250)]
    await wait_until(lambda: not client.connected, "the end of the connection")
    refused = [task for task in flood if task.done()]
    assert len(refused) >= 100
    assert all(task.result() == [wire_error("noLogin"), None] for task in refused)
    gate.set()
    await asyncio.wait(flood)
    await patient.wait_for("loginConfirmed")
    assert client.events == []
    assert await patient.call("listOwnSockets") == {patient.id: []}


@pytest.mark.covers("hook:on_connect", "notification:loginConfirmed")
async def test_a_client_that_leaves_during_its_login_leaves_nothing(
    world: World, gate: asyncio.Event
) -> None:
    instance = await world.start(hooks={"on_connect": waiting(gate)})
    client = await instance.transport.connect()
    leaving = asyncio.create_task(client.disconnect())
    await asyncio.sleep(0)
    gate.set()
    await leaving
    assert client.events == []
    other = await instance.transport.connect()
    await other.wait_for("loginConfirmed")
    assert await other.call("listOwnSockets") == {other.id: []}
