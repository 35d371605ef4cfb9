"""A hook waits for something that is cancelled elsewhere: the caller gets an error, and everything
continues.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chat_service import ChatService, CloseTimeoutError, CommandCall, MembershipInfo
from chat_service.hooks import HookCancelledError, call_hook
from chat_service.testing import InProcessClient, wait_until
from tests.support.backends import ONE_STORE
from tests.support.parts import parts_of
from tests.support.patience import PATIENCE
from tests.support.wire_errors import wire_error
from tests.support.world import Instance, World, name_by_query

INTERNAL = "ChatServiceError: Internal server error, incident "


async def _of_a_task() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await task


async def _of_a_future() -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.cancel)
    await future


async def _of_a_group() -> None:
    group = asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(group.cancel)
    await group


async def _raised() -> None:
    raise asyncio.CancelledError


async def _raised_in_the_background() -> None:
    await asyncio.sleep(0)
    raise asyncio.CancelledError("the pool is closed")


def _raised_at_once() -> None:
    raise asyncio.CancelledError


Cancelled = Callable[[], Awaitable[None] | None]
WAYS: list[Cancelled] = [
    _of_a_task,
    _of_a_future,
    _of_a_group,
    _raised,
    _raised_in_the_background,
    _raised_at_once,
]
each_way = pytest.mark.parametrize("cancelled", WAYS, ids=lambda way: way.__name__.strip("_"))


class Switch:
    """Hooks that are cancelled at one place of the service, and only there."""

    def __init__(self, cancelled: Cancelled, place: str) -> None:
        self._cancelled = cancelled
        self.place = place

    def at(self, place: str, result: Any = None) -> Any:
        """The hook of a place."""

        async def hook(*_: Any) -> Any:
            if self.place == place:
                await call_hook(self._cancelled)
            return result

        def plain(*_: Any) -> Any:
            if self.place == place:
                self._cancelled()
            return result

        return plain if self._cancelled is _raised_at_once else hook

    @property
    def hooks(self) -> dict[str, Any]:
        places = ("on_join", "on_leave", "room_messages_checker", "direct_messages_checker")
        commands = ("room_join", "room_leave", "room_message", "direct_message", "list_own_sockets")
        return {
            **{place: self.at(place) for place in places},
            **{
                f"{command}_{when}": self.at(f"{command}_{when}")
                for command in commands
                for when in ("before", "after")
            },
        }


async def start(world: World, switch: Switch) -> Instance:
    instance = await world.start(hooks=switch.hooks)
    await instance.service.add_room("room")
    return instance


#: Where a hook is cancelled, the command that meets it, and the same one later.
COMMANDS: dict[str, tuple[Any, ...]] = {
    "on_join": ("roomJoin", "room"),
    "room_join_before": ("roomJoin", "room"),
    "room_join_after": ("roomJoin", "room"),
    "room_leave_before": ("roomLeave", "room"),
    "room_leave_after": ("roomLeave", "room"),
    "room_messages_checker": ("roomMessage", "room", {"textMessage": "hi"}),
    "room_message_before": ("roomMessage", "room", {"textMessage": "hi"}),
    "room_message_after": ("roomMessage", "room", {"textMessage": "hi"}),
    "direct_messages_checker": ("directMessage", "bob", {"textMessage": "hi"}),
    "direct_message_before": ("directMessage", "bob", {"textMessage": "hi"}),
    "direct_message_after": ("directMessage", "bob", {"textMessage": "hi"}),
    "list_own_sockets_before": ("listOwnSockets",),
    "list_own_sockets_after": ("listOwnSockets",),
}


async def answer(client: InProcessClient, *command: Any) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return await client.emit(*command)


@each_way
@pytest.mark.parametrize("place", COMMANDS)
@ONE_STORE
async def test_the_caller_gets_an_error_and_the_next_command_is_run(
    world: World, cancelled: Cancelled, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    switch = Switch(cancelled, "nowhere")
    instance = await start(world, switch)
    await instance.login("bob")
    alice = await instance.login("alice")
    if "join" not in place:
        await alice.call("roomJoin", "room")
    switch.place = place
    pipelined = [asyncio.create_task(answer(alice, *COMMANDS[place])) for _ in range(3)]
    for ack in await asyncio.gather(*pipelined):
        assert str(ack[0]).startswith(INTERNAL), ack
    assert "HookCancelledError" in caplog.text
    switch.place = "nowhere"
    if place in ("room_leave_after", "room_join_after"):
        # The command itself was done.
        is_joined = place == "room_join_after"
        assert await instance.service.room_has_in_list("room", "userlist", "alice") is is_joined
    assert (await answer(alice, *COMMANDS[place]))[0] is None
    assert (await answer(alice, "roomLeave", "room"))[0] is None
    assert parts_of(instance.service).running.count(["roomMessage", "roomJoin", "roomLeave"]) == 0


@each_way
@ONE_STORE
async def test_server_code_gets_an_exception(world: World, cancelled: Cancelled) -> None:
    switch = Switch(cancelled, "room_message_before")
    instance = await start(world, switch)
    call = instance.service.exec_user_command
    with pytest.raises(HookCancelledError, match="awaited was cancelled"):
        await call(True, "roomMessage", "room", {"textMessage": "hi"})
    switch.place = "nowhere"
    assert await call(True, "roomMessage", "room", {"textMessage": "hi"}) == [1]


@each_way
@ONE_STORE
async def test_a_cancelled_on_connect_rejects_the_login(world: World, cancelled: Cancelled) -> None:
    switch = Switch(cancelled, "on_connect")
    instance = await world.start(hooks={"on_connect": switch.at("on_connect", "alice")})
    client = await instance.transport.connect()
    [rejection] = await client.wait_for("loginRejected")
    assert rejection.startswith(INTERNAL)
    await wait_until(lambda: not client.connected, "the disconnect")
    switch.place = "nowhere"
    await (await instance.transport.connect()).wait_for("loginConfirmed", "alice")


@each_way
@pytest.mark.parametrize("place", ["on_leave", "on_disconnect"])
async def test_the_socket_is_removed_anyway(world: World, cancelled: Cancelled, place: str) -> None:
    switch = Switch(cancelled, place)
    instance = await world.start(
        hooks={"on_leave": switch.at("on_leave"), "on_disconnect": switch.at("on_disconnect")}
    )
    await instance.service.add_room("room")
    await instance.service.add_room("hall")
    alice = await instance.joined("alice", "room", "hall")
    assert (await answer(alice, "roomLeave", "hall")) == [None, 0]
    assert (await answer(alice, "roomJoin", "hall")) == [None, 1]
    await alice.disconnect()
    assert await instance.service.get_instance_sockets() == {}
    for room in ("room", "hall"):
        assert not await instance.service.room_has_in_list(room, "userlist", "alice")


@each_way
async def test_removals_go_on(world: World, cancelled: Cancelled) -> None:
    switch = Switch(cancelled, "on_leave")
    instance = await start(world, switch)
    alice = await instance.joined("alice", "room")
    service = instance.service
    await service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["alice"])
    await alice.wait_for("roomAccessRemoved", "room")
    await service.exec_user_command(True, "roomRemoveFromList", "room", "blacklist", ["alice"])
    assert (await answer(alice, "roomJoin", "room")) == [None, 1]


@each_way
@ONE_STORE
async def test_bound_handlers_and_listeners(world: World, cancelled: Cancelled) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    heard: list[str] = []
    instance.service.transport.bind_handler(alice.id, "custom", cancelled)
    instance.service.cluster_bus.on("news", cancelled)
    instance.service.cluster_bus.on("news", lambda: heard.append("news"))
    for _ in range(2):
        assert (await answer(alice, "custom"))[0].startswith(INTERNAL)
    await instance.service.cluster_bus.emit("news")
    await wait_until(lambda: heard == ["news"], "the listener after it")


@each_way
@ONE_STORE
async def test_a_start_fails_by_a_cancelled_on_start(world: World, cancelled: Cancelled) -> None:
    instance = world.make(hooks={"on_start": Switch(cancelled, "on_start").at("on_start")})
    with pytest.raises(HookCancelledError):
        await instance.service.start()


@each_way
@ONE_STORE
async def test_a_close_goes_on_after_a_cancelled_on_close(world: World, cancelled: Cancelled) -> None:
    instance = await world.start(hooks={"on_close": Switch(cancelled, "on_close").at("on_close")})
    with pytest.raises(HookCancelledError):
        await instance.service.close()
    assert "closed" in repr(instance.service)


@pytest.mark.parametrize("place", ["on_join", "room_join_before", "room_join_after", "custom", "on_connect"])
async def test_hooks_cancelled_by_a_close_end(world: World, place: str) -> None:
    """A real cancellation is not an error of the hook."""
    entered, seen = asyncio.Event(), []

    async def hang(*_: Any) -> None:
        entered.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            seen.append(type(error))
            raise

    async def on_connect(service: ChatService, socket_id: str) -> Any:
        if place == "on_connect":
            await hang()
        return name_by_query(service, socket_id)

    hooks = {place: hang} if place not in ("custom", "on_connect") else {}
    instance = await world.start(hooks={**hooks, "on_connect": on_connect}, close_timeout=0.1)
    await instance.service.add_room("room")
    if place == "on_connect":
        await instance.transport.connect(query={"userName": "alice"})
    else:
        alice = await instance.login("alice")
        instance.service.transport.bind_handler(alice.id, "custom", hang)
        await alice.send("custom" if place == "custom" else "roomJoin", "room")
    await entered.wait()
    # A login ends with its client, before the close loses its patience.
    is_patient = contextlib.nullcontext() if place == "on_connect" else pytest.raises(CloseTimeoutError)
    with is_patient:
        await instance.service.close()
    assert seen == [asyncio.CancelledError]


async def test_a_hook_handles_its_own_timeouts(world: World) -> None:
    async def before(call: CommandCall) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(3600)

    joined: list[MembershipInfo] = []
    instance = await world.start(
        hooks={"room_join_before": before, "on_join": lambda service, info: joined.append(info)}
    )
    await instance.service.add_room("room")
    alice = await instance.login("alice")
    assert await answer(alice, "roomJoin", "nowhere") == [wire_error("noRoom", "nowhere"), None]
    assert await answer(alice, "roomJoin", "room") == [None, 1]
    assert len(joined) == 1


@ONE_STORE
@pytest.mark.covers("option:hook_timeout")
@pytest.mark.parametrize("hook", ["list_own_sockets_before", "list_own_sockets_after", "on_join", "mine"])
async def test_a_hook_that_hangs_is_cancelled(world: World, hook: str) -> None:
    ended: list[str] = []

    async def hangs(*_: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(hook)

    hooks = {} if hook == "mine" else {hook: hangs}
    instance = await world.start(hooks=hooks, hook_timeout=0.05)
    await instance.service.add_room("room")
    client = await instance.transport.login("alice")
    instance.service.transport.bind_handler(client.id, "mine", hangs)
    command = {"mine": ("mine",), "on_join": ("roomJoin", "room")}.get(hook, ("listOwnSockets",))
    assert await client.error(*command) == wire_error("timeout")
    assert ended == [hook]
    # The next command is not blocked.
    assert await client.call("directGetWhitelistMode") is False
