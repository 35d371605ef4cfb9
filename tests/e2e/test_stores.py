"""Real clients over every store: commands start immediately, and continue in a task if they wait."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chat_service import ChatService, Login
from chat_service.errors import StoreTimeoutError
from chat_service.stores.memory import MemoryStore
from chat_service.testing import wait_until
from tests.e2e.conftest import ConnectTo, Serve
from tests.e2e.raw import event, websocket
from tests.support.backends import Backend, InMemory, InRedis
from tests.support.parts import parts_of
from tests.support.patience import PATIENCE


@pytest.mark.covers("better:order of one socket's commands")
async def test_two_instances_over_one_store(backend: Backend, serve: Serve, login: ConnectTo) -> None:
    services = [await serve(store=backend.new_store(), history_max_get_messages=500) for _ in range(2)]
    await services[0].add_room("room")
    sender, other = await login(services[0], "sender"), await login(services[1], "other", kind="py")
    assert await other.call("roomJoin", "room") == 1
    emits: list[tuple[str, list[Any]]] = [("roomJoin", ["room"])]
    emits += [("roomMessage", ["room", {"textMessage": str(number)}]) for number in range(100)]
    emits += [("roomLeave", ["room"]), ("roomMessage", ["room", {"textMessage": "late"}])]
    acks = await sender.burst(*emits)
    assert [ack[1:] for ack in acks[1:101]] == [[None, number] for number in range(1, 101)]
    assert acks[101][1:] == [None, 0]
    assert acks[102][1:] == ["ChatServiceError: Not joined to room room", None]
    for client in (sender, other):
        ids = [(await client.wait_for("roomMessage"))[1]["id"] for _ in range(100)]
        assert ids == list(range(1, 101))
    await sender.disconnect()
    assert [message["id"] for message in await other.call("roomRecentHistory", "room")] == list(
        range(100, 0, -1)
    )
    await wait_until(lambda: len(parts_of(services[0]).sessions) == 0, "the sender to be gone")


async def test_a_guest_with_several_sockets_leaves_nothing_behind(
    backend: InMemory | InRedis, serve: Serve, login: ConnectTo
) -> None:
    def on_connect(service: ChatService, socket_id: str) -> Login:
        name = service.transport.get_handshake_data(socket_id).query["userName"]
        return Login(name, ephemeral=name != "host")

    service = await serve(store=backend.new_store(), hooks={"on_connect": on_connect})
    await service.add_room("room", enable_userlist_updates=True)
    host = await login(service, "host", kind="py")
    await host.call("roomJoin", "room")
    # The first guest ever leaves a field of the room: that it counts what is known of guests.
    earlier = await login(service, "guest")
    await earlier.call("roomJoin", "room")
    await earlier.disconnect()
    await host.wait_for("roomUserLeft", "room", "guest")
    await wait_until(lambda: len(parts_of(service).sessions) == 1, "the end of the first visit")
    before = await backend.inventory()

    first, second = [await login(service, "guest") for _ in range(2)]
    for socket in (first, second):
        await socket.call("roomJoin", "room")
    await first.call("directAddToList", "blacklist", ["eve"])
    assert await backend.inventory() != before
    await first.disconnect()
    await wait_until(lambda: len(parts_of(service).sessions) == 2, "the end of the first socket")
    assert await second.call("directGetAccessList", "blacklist") == ["eve"]
    await second.drop()
    await host.wait_for("roomUserLeft", "room", "guest")
    await wait_until(lambda: len(parts_of(service).sessions) == 1, "the end of the visit")
    assert not await service.has_user("guest")
    assert await backend.inventory() == before


async def test_a_close_waits_for_commands_that_wait_for_the_store(backend: Backend, serve: Serve) -> None:
    service = await serve(store=backend.new_store())
    await service.add_room("room")
    async with websocket(service.port) as raw:
        await raw.login()
        await raw.ack("roomJoin", "room")
        for number in range(50):
            await raw.send(event("roomMessage", "room", {"textMessage": str(number)}))
        await raw.ack("listOwnSockets")
        for number in range(50):
            await raw.send(event("roomMessage", "room", {"textMessage": str(number)}))
        await service.close()
        await raw.wait_closed()


class StoreWithTimeouts(MemoryStore):
    """A store of somebody who knows nothing of work without a task: time-outs ask for one."""

    runs_without_task = False

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith(("room_", "user_", "socket_")):
            return found

        async def call(*args: Any, **options: Any) -> Any:
            async with asyncio.timeout(PATIENCE):
                assert asyncio.current_task() is not None
                return await found(*args, **options)

        return call


async def test_a_store_that_needs_a_task_gets_one(serve: Serve, login: ConnectTo) -> None:
    service = await serve(store=StoreWithTimeouts())
    await service.add_room("room")
    client = await login(service, "alice")
    assert await client.call("roomJoin", "room") == 1
    assert await client.call("roomMessage", "room", {"textMessage": "x"}) == 1
    await client.disconnect()
    await wait_until(lambda: len(parts_of(service).sessions) == 0, "the client to be gone")


class SlowStore(MemoryStore):
    """Waits before each message, or fails to answer."""

    gate: asyncio.Event

    async def room_message(self, *args: Any) -> int:
        await self.gate.wait()
        if not args[2].get("textMessage"):
            raise StoreTimeoutError("too late")
        return await super().room_message(*args)


@pytest.mark.covers("error:timeout")
async def test_commands_of_several_clients_wait_side_by_side(serve: Serve, login: ConnectTo) -> None:
    store = SlowStore()
    store.gate = asyncio.Event()
    service = await serve(store=store)
    await service.add_room("room")
    alice, bob = await login(service, "alice"), await login(service, "bob")
    for client in (alice, bob):
        await client.call("roomJoin", "room")
    waiting = [
        asyncio.create_task(client.emit("roomMessage", "room", {"textMessage": text}))
        for client, text in ((alice, "x"), (bob, ""))
    ]
    await wait_until(lambda: "roomMessage (2)" in parts_of(service).running.names(), "both to wait")
    # Others are served meanwhile, also the same client.
    assert len(await alice.call("listOwnSockets")) == 1
    store.gate.set()
    assert [await task for task in waiting] == [
        [None, 1],
        ["ChatServiceError: Server operation timeout", None],
    ]


async def test_a_flood_of_commands_is_read_as_fast_as_it_is_handled(serve: Serve) -> None:
    store = SlowStore()
    store.gate = asyncio.Event()
    service = await serve(store=store)
    await service.add_room("room")
    count = 10_000
    async with websocket(service.port) as raw, websocket(service.port, "other") as other:
        await raw.login()
        await other.login()
        await raw.ack("roomJoin", "room")

        async def flood() -> None:
            for number in range(count):
                await raw.send(event("roomMessage", "room", {"textMessage": "x" * 500}, id=number))

        sending = asyncio.create_task(flood())
        await wait_until(lambda: len(parts_of(service).running) >= 1000, "many commands to wait")
        for _ in range(100):
            assert (await other.ack("listOwnSockets"))[0] is None
        # What one read of the system brings comes on top.
        assert len(parts_of(service).running) < 2000
        store.gate.set()
        await sending
        assert await raw.recv_ack(count - 1) == [None, count]


@pytest.mark.covers("hook:before", "hook:on_connect", "hook:on_join")
async def test_hooks_have_a_task(serve: Serve, login: ConnectTo) -> None:
    seen: list[str] = []

    def hook(name: str, result: Any = None) -> Callable[..., Awaitable[Any]]:
        async def run(*args: Any) -> Any:
            async with asyncio.timeout(PATIENCE):
                await asyncio.sleep(0)
            assert asyncio.current_task() is not None
            seen.append(name)
            return result

        return run

    async def handler(*args: Any) -> str:
        return await hook("handler", "done")()

    names = ("on_join", "on_leave", "on_disconnect", "room_message_before", "room_message_after")
    hooks = {"on_connect": hook("on_connect", "alice"), **{name: hook(name) for name in names}}
    service: ChatService = await serve(hooks=hooks)
    await service.add_room("room")
    client = await login(service, "alice")
    (socket_id,) = await service.get_instance_sockets()
    service.transport.bind_handler(socket_id, "custom", handler)
    await client.call("roomJoin", "room")
    await client.call("roomMessage", "room", {"textMessage": "x"})
    assert await client.emit("custom") == [None, "done"]
    await client.disconnect()
    await wait_until(lambda: len(seen) == 7, "all hooks")
    assert seen == [
        "on_connect",
        "on_join",
        "room_message_before",
        "room_message_after",
        "handler",
        "on_leave",
        "on_disconnect",
    ]
