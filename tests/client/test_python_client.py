"""The Python client against a real service, over connections that break."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chat_service import ChatService, ChatServiceError, CommandCall, Login
from chat_service.client import (
    ChatClient,
    ClientRoom,
    ConnectFailedError,
    Gap,
    NotConnectedError,
    OutboxError,
    OutcomeUnknownError,
)
from chat_service.testing import wait_until
from tests.redis.proxy import Proxy
from tests.support.patience import PATIENCE
from tests.support.redis_servers import free_port
from tests.support.world import name_by_query

pytestmark = pytest.mark.e2e

TEXT = {"textMessage": "tea"}
#: Makes a client of a user, connected through the proxy.
Connect = Callable[..., Awaitable[ChatClient]]


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[ChatService]:
    hooks = {"on_connect": name_by_query, **options.pop("hooks", {})}
    service = ChatService(host="127.0.0.1", port=0, hooks=hooks, enable_rooms_management=True, **options)
    async with service:
        yield service


@pytest.fixture
async def service() -> AsyncIterator[ChatService]:
    async with serving() as made:
        await made.add_room("room")
        yield made


@pytest.fixture
async def proxy(service: ChatService) -> AsyncIterator[Proxy]:
    assert service.port is not None
    async with Proxy(service.port) as made:
        yield made


def client_at(port: int | None, name: str = "alice", **options: Any) -> ChatClient:
    delays = {"reconnect_delay": 0.02, "max_reconnect_delay": 0.1, "timeout": PATIENCE}
    return ChatClient(f"http://127.0.0.1:{port}", query={"userName": name}, **{**delays, **options})


@pytest.fixture
async def connect(proxy: Proxy) -> AsyncIterator[Connect]:
    clients: list[ChatClient] = []

    async def make(name: str = "alice", **options: Any) -> ChatClient:
        clients.append(client_at(proxy.port, name, **options))
        await clients[-1].connect()
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


async def read(room: ClientRoom, count: int) -> list[Any]:
    """The next messages, and the gaps before them."""
    found: list[Any] = []

    def note(gap: Gap) -> None:
        found.append((gap.first, gap.last) if not gap.epoch_changed else "epoch")

    room.on_gap(note)
    async with asyncio.timeout(PATIENCE):
        async for message in room:
            found.append(message["id"])
            count -= 1
            if not count:
                break
    return found


async def post(service: ChatService, count: int) -> None:
    for _ in range(count):
        await service.exec_user_command(True, "roomMessage", "room", TEXT)


async def lost(client: ChatClient, proxy: Proxy) -> None:
    """Cut the connections, and keep new ones away."""
    proxy.refuse = lambda writer: writer.close()
    proxy.cut()
    await wait_until(lambda: not client.is_online, "the loss")


async def test_commands_and_errors_are_typed(connect: Connect) -> None:
    client = await connect()
    assert client.login is not None and client.login.user_name == "alice"
    await client.commands.room_create("tea", False)
    assert await client.commands.room_get_owner("tea") == "alice"
    assert await client.commands.room_join("tea") == (1, None)
    assert await client.commands.room_message("tea", TEXT, idempotency_key="k") == (1, None)
    assert await client.commands.room_message("tea", TEXT, idempotency_key="k") == (1, {"duplicate": True})
    messages, epoch = await client.commands.room_recent_history("tea", epoch=True)
    assert [message["id"] for message in messages] == [1] and isinstance(epoch, str)
    with pytest.raises(ChatServiceError) as caught:
        await client.commands.room_join("nowhere")
    assert (caught.value.code, caught.value.arguments) == ("noRoom", ("nowhere",))


async def test_commands_of_the_application(service: ChatService, connect: Connect) -> None:
    service.command("repeatWord", {"word": "text"}, result="text")(lambda call, word: word * 2)
    client = await connect()
    assert await client.command("repeatWord", "tea") == "teatea"
    with pytest.raises(ChatServiceError) as caught:
        await client.command("repeatWord", 5)
    assert caught.value.code == "badArgument"


async def test_logins_that_fail(service: ChatService) -> None:
    with pytest.raises(ConnectFailedError, match="cannot connect"):
        await client_at(free_port()).connect()
    client = client_at(service.port, "a:b")
    with pytest.raises(ChatServiceError) as caught:
        await client.connect()
    assert caught.value.code == "invalidName"
    with pytest.raises(NotConnectedError):
        await client.commands.list_own_sockets()


async def test_credentials_are_asked_for_at_each_connection(proxy: Proxy, service: ChatService) -> None:
    seen: list[Any] = []
    tokens = iter(range(10))

    async def auth() -> dict[str, Any]:
        seen.append(next(tokens))
        return {"token": seen[-1]}

    async with client_at(proxy.port, auth=auth) as client:
        first = client.login
        proxy.cut()
        await wait_until(lambda: client.login is not first and client.is_online, "the next login")
    assert seen == [0, 1]


async def test_credentials_that_cannot_be_had_for_a_moment_are_asked_for_again(
    proxy: Proxy, service: ChatService
) -> None:
    asked = 0

    async def auth() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        if asked in (2, 3):
            raise RuntimeError("the source of tokens is away")
        return {}

    async with client_at(proxy.port, auth=auth) as client:
        first = client.login
        proxy.cut()
        await wait_until(lambda: client.login is not first and client.is_online, "the next login")
    assert asked == 4


async def test_messages_come_in_order_and_once_over_lost_connections(
    service: ChatService, proxy: Proxy, connect: Connect
) -> None:
    await post(service, 3)
    client = await connect()
    room = await client.join("room", recent=2)
    await post(service, 2)
    assert await read(room, 4) == [2, 3, 4, 5]
    for _ in range(3):
        await lost(client, proxy)
        await post(service, 120)
        proxy.mend()
        await post(service, 3)
    assert await read(room, 369) == list(range(6, 375))


async def test_a_join_without_history_begins_with_the_next_message(
    service: ChatService, connect: Connect
) -> None:
    await post(service, 3)
    room = await (await connect()).join("room")
    await post(service, 2)
    assert await read(room, 2) == [4, 5]


async def test_missing_messages_are_reported(service: ChatService, proxy: Proxy, connect: Connect) -> None:
    client = await connect()
    room = await client.join("room")
    await service.change_room_history_max_size("room", 3)
    await post(service, 2)
    assert await read(room, 2) == [1, 2]
    await lost(client, proxy)
    await post(service, 10)
    proxy.mend()
    assert await read(room, 3) == [(3, 9), 10, 11, 12]


async def test_a_room_that_starts_over(service: ChatService, proxy: Proxy, connect: Connect) -> None:
    client = await connect()
    room = await client.join("room")
    await post(service, 2)
    assert await read(room, 2) == [1, 2]
    await lost(client, proxy)
    await service.delete_room("room")
    await service.add_room("room")
    await post(service, 2)
    proxy.mend()
    assert await read(room, 2) == ["epoch", 1, 2]


async def test_hidden_messages_are_no_gap(service: ChatService, proxy: Proxy, connect: Connect) -> None:
    @service.on("on_message_receive")
    def hide(service: ChatService, user: str, socket_id: str, room: str, message: Any) -> Any:
        return None if message["textMessage"].startswith("hidden") else message

    async def post(*texts: str) -> None:
        for text in texts:
            await service.broadcast("room", {"textMessage": text})

    await post("one", "hidden two")
    client = await connect()
    room = await client.join("room", recent=10)
    room.on_gap(lambda gap: pytest.fail(f"{gap}"))
    await post("hidden three", "four")
    proxy.cut()
    await post("hidden five", "six", "hidden seven")
    await wait_until(lambda: room.last_id == 7, "everything")
    seen = []
    async for message in room:
        seen.append((message["id"], message["textMessage"]))
        if message["id"] == 6:
            break
    assert seen == [(1, "one"), (4, "four"), (6, "six")]
    assert [message["id"] for message in await room.history()] == [1, 4, 6]
    assert [message["id"] for message in await room.history(after=1, limit=1)] == [4]
    assert await room.history(after=6) == []


async def test_a_slow_reader_reads_the_rest_from_the_history(service: ChatService, connect: Connect) -> None:
    client = await connect(stream_limit=5)
    room = await client.join("room")
    await post(service, 250)
    await wait_until(lambda: room.last_id == 250, "the last message")
    assert len(room._stream._items) == 5
    assert await read(room, 250) == list(range(1, 251))


async def test_lost_access_ends_the_stream(service: ChatService, connect: Connect) -> None:
    client = await connect()
    room = await client.join("room")
    await post(service, 1)
    await service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["alice"])
    async with asyncio.timeout(PATIENCE):
        assert [message["id"] async for message in room] == [1]
    with pytest.raises(ChatServiceError, match="not allowed"):
        await client.join("room")


async def test_a_room_is_joined_again_although_the_first_try_gets_no_answer(
    service: ChatService, proxy: Proxy, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer comes too late."""
    caplog.set_level("INFO", "chat_service.client")
    client = await connect(timeout=1.0)
    room = await client.join("room")
    joins: list[CommandCall] = []
    is_over = asyncio.Event()

    @service.before("roomJoin")
    async def keep_the_first(call: CommandCall) -> None:
        joins.append(call)
        if len(joins) == 1:
            await is_over.wait()

    await lost(client, proxy)
    await post(service, 1)
    proxy.mend()
    await wait_until(lambda: "room is not joined again yet" in caplog.text, "the first try is given up")
    is_over.set()
    assert await read(room, 1) == [1]
    assert await room.send(TEXT) == 2
    # Over the same connection.
    assert len(joins) == 2 and len({call.id for call in joins}) == 1


async def test_a_server_without_cursors(proxy: Proxy, service: ChatService, connect: Connect) -> None:
    """It answers a join with one value only."""
    service.after("roomJoin")(lambda call: call.results[0])
    await post(service, 3)
    client = await connect()
    room = await client.join("room", recent=5)
    await post(service, 1)
    assert await read(room, 4) == [1, 2, 3, 4]
    await lost(client, proxy)
    await post(service, 230)
    proxy.mend()
    assert await read(room, 230) == list(range(5, 235))


# Sending


async def stored(service: ChatService) -> list[str]:
    found = await service.exec_user_command(True, "roomHistoryGet", "room", 0, 1000)
    return [message["textMessage"] for message in reversed(found[0])]


async def test_messages_are_stored_once_and_in_order(
    service: ChatService, proxy: Proxy, connect: Connect
) -> None:
    client = await connect()
    room = await client.join("room")
    sent = [asyncio.create_task(room.send({"textMessage": str(number)})) for number in range(200)]
    for _ in range(5):
        await asyncio.wait(sent, timeout=0.05)
        proxy.cut()
    assert await asyncio.gather(*sent) == list(range(1, 201))
    assert await stored(service) == [str(number) for number in range(200)]
    assert client.unsent == 0


async def test_a_lost_answer_is_requested_again(service: ChatService, proxy: Proxy, connect: Connect) -> None:
    client = await connect()
    room = await client.join("room")
    proxy.deaf = lambda connection: True
    sending = asyncio.create_task(room.send(TEXT))

    async def is_stored() -> bool:
        return len(await stored(service)) == 1

    await wait_until(is_stored, "the message is stored")
    proxy.mend()
    proxy.cut()
    assert await sending == 1
    assert len(await stored(service)) == 1


async def test_refused_messages_raise_and_later_ones_are_sent(service: ChatService, connect: Connect) -> None:
    client = await connect()
    room = await client.join("room")
    outcomes = await asyncio.gather(
        room.send({"wrong": 1}),
        room.send(TEXT, key="k"),
        client.room("none").send(TEXT),
        return_exceptions=True,
    )
    codes = [outcome.code if isinstance(outcome, ChatServiceError) else outcome for outcome in outcomes]
    assert codes == ["badArgument", 1, "noRoom"]


async def test_the_outbox_is_bounded(proxy: Proxy, connect: Connect) -> None:
    client = await connect(outbox_limit=2)
    room = await client.join("room")
    await lost(client, proxy)
    sent = [asyncio.create_task(room.send(TEXT, key=key)) for key in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(OutboxError, match="full"):
        await room.send(TEXT)
    proxy.mend()
    assert sorted(await asyncio.gather(*sent)) == [1, 2]


async def test_a_restarted_program_sends_the_remaining_messages(
    service: ChatService, proxy: Proxy, tmp_path: Path
) -> None:
    path = tmp_path / "outbox"
    client = client_at(proxy.port, outbox=path)
    await client.connect()
    room = await client.join("room")
    other = client_at(proxy.port, outbox=path)
    with pytest.raises(OutboxError, match="locked"):
        await other.connect()
    # The first one is stored, but its answer is lost; the others wait behind it.
    proxy.deaf = lambda connection: True
    texts = [{"textMessage": str(number), "data": number} for number in range(3)]
    service.on("room_messages_checker", lambda message: None)
    sent = [asyncio.create_task(room.send(text)) for text in texts]
    await wait_until(lambda: client.unsent == 3, "all are written down")

    async def is_stored() -> bool:
        return await stored(service) == ["0"]

    await wait_until(is_stored, "the first message")
    await client.close()
    assert all(
        isinstance(error, NotConnectedError) for error in await asyncio.gather(*sent, return_exceptions=True)
    )
    proxy.mend()
    # The user has to be in the room.
    async with client_at(proxy.port) as anchor:
        await anchor.join("room")
        async with client_at(proxy.port, outbox=path) as again:
            await wait_until(lambda: again.unsent == 0, "all is sent")
    assert await stored(service) == ["0", "1", "2"]


async def test_a_restarted_program_that_joins_again_sends_the_remaining_messages(
    service: ChatService, proxy: Proxy, tmp_path: Path
) -> None:
    """What was left is refused until the room is joined, and is not lost by that."""
    path = tmp_path / "outbox"
    async with client_at(proxy.port, outbox=path) as client:
        room = await client.join("room")
        await lost(client, proxy)
        unsent = asyncio.create_task(room.send(TEXT))
        await wait_until(lambda: client.unsent == 1, "it is written down")
    with pytest.raises(NotConnectedError):
        await unsent
    proxy.mend()
    refused: list[object] = []
    service.after("roomMessage")(lambda call: refused.append(call.error))
    async with client_at(proxy.port, outbox=path) as again:
        await wait_until(lambda: len(refused) == 1, "it was sent too early")
        assert (again.unsent, await stored(service)) == (1, [])
        await again.join("room")
        await wait_until(lambda: again.unsent == 0, "it is sent")
    assert await stored(service) == ["tea"]


@pytest.mark.parametrize("is_stored", [True, False])
async def test_access_that_is_lost_before_the_answer(
    service: ChatService, proxy: Proxy, connect: Connect, is_stored: bool
) -> None:
    """The key tells what was stored; a refusal of the repeat does not say that nothing was."""
    came: list[CommandCall] = []
    hook = service.after if is_stored else service.before

    @hook("roomMessage")
    async def keep_the_first(call: CommandCall) -> None:
        came.append(call)
        if len(came) == 1:
            await gone.wait()
            raise ChatServiceError("notAllowed")

    gone = asyncio.Event()
    client = await connect()
    room = await client.join("room")
    sent = [asyncio.create_task(room.send({"textMessage": text})) for text in ("first", "second")]
    await wait_until(lambda: bool(came), "the first one has come in")
    await lost(client, proxy)
    await service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["alice"])
    gone.set()
    proxy.mend()
    async with asyncio.timeout(PATIENCE):
        first, second = await asyncio.gather(*sent, return_exceptions=True)
    if is_stored:
        assert first == 1
    else:
        assert isinstance(first, OutcomeUnknownError) and "refused when repeated" in str(first)
        assert isinstance(first.__cause__, ChatServiceError)
    # It was never sent before.
    assert isinstance(second, ChatServiceError) and second.code == "notJoined"
    assert await stored(service) == ["first"] * is_stored
    assert client.unsent == 0


async def test_a_login_rejected_later_refuses_only_unsent_messages() -> None:
    names = ["alice"]
    gone = asyncio.Event()
    came: list[CommandCall] = []

    async def keep(call: CommandCall) -> None:
        came.append(call)
        await gone.wait()

    hooks = {"on_connect": lambda *_: names.pop() if names else None, "room_message_before": keep}
    async with serving(hooks=hooks) as service, Proxy(service.port or 0) as proxy:
        await service.add_room("room")
        async with client_at(proxy.port) as client:
            room = await client.join("room")
            sent = [asyncio.create_task(room.send(TEXT)) for _ in range(2)]
            await wait_until(lambda: bool(came), "the first one has come in")
            await lost(client, proxy)
            gone.set()
            proxy.mend()
            async with asyncio.timeout(PATIENCE):
                first, second = await asyncio.gather(*sent, return_exceptions=True)
    assert isinstance(first, OutcomeUnknownError)
    assert isinstance(second, ChatServiceError) and second.code == "noLogin"


async def test_messages_without_an_answer_for_too_long(
    service: ChatService, proxy: Proxy, connect: Connect
) -> None:
    client = await connect(outbox_max_age=0.2)
    room = await client.join("room")
    proxy.deaf = lambda connection: True
    sending = asyncio.create_task(room.send(TEXT))

    async def is_stored() -> bool:
        return len(await stored(service)) == 1

    await wait_until(is_stored, "the message is stored")
    await lost(client, proxy)
    await asyncio.sleep(0.3)
    proxy.mend()
    with pytest.raises(OutcomeUnknownError, match="no answer"):
        await sending
    assert await room.send(TEXT) == 2


async def test_a_client_disconnected_by_the_server_stays_closed(
    service: ChatService, connect: Connect
) -> None:
    client = await connect()
    room = await client.join("room")
    await service.disconnect_user_sockets("alice")
    async with asyncio.timeout(PATIENCE):
        assert [message async for message in room] == []
    await wait_until(lambda: client.error is not None, "the end")
    with pytest.raises(NotConnectedError):
        await room.send(TEXT)


async def test_notifications_reach_handlers(service: ChatService, connect: Connect) -> None:
    client = await connect()
    told: list[Any] = []
    client.on("directMessage", lambda message: told.append(message["textMessage"]))
    client.on("directMessage", lambda message: 1 / 0)
    await service.exec_user_command(True, "directMessage", "alice", {"textMessage": "psst"})
    await wait_until(lambda: told == ["psst"], "the message")
    with pytest.raises(TypeError, match="coroutine"):
        client.on("directMessage", connect)


@pytest.mark.covers("notification:loginExpiring", "command:loginRefresh")
async def test_an_expiring_login_is_refreshed_by_the_client() -> None:
    """With fresh credentials each time; a failure to get them is made good by another attempt."""
    given: list[int] = []

    async def credentials() -> dict[str, int]:
        given.append(len(given))
        if len(given) == 2:
            raise RuntimeError("the login page is down")
        return {"token": given[-1]}

    def on_connect(service: ChatService, socket_id: str) -> Login:
        return Login("alice", expires_at=time.time() + 1)

    def on_refresh(service: ChatService, socket_id: str, token: dict[str, int]) -> float:
        refreshed.append(token["token"])
        # Ends soon for the first time, and then no longer within this test.
        return time.time() + (1 if len(refreshed) == 1 else 3600)

    refreshed: list[int] = []
    hooks = {"on_connect": on_connect, "on_refresh": on_refresh}
    async with (
        serving(hooks=hooks, login_expiry_grace=10) as service,
        client_at(service.port, auth=credentials) as client,
    ):
        await wait_until(lambda: refreshed == [2, 3], "both refreshes")
        assert await client.commands.list_own_sockets()


async def test_logins_shorter_than_the_notice_are_not_refreshed_in_a_loop() -> None:
    """Each refresh of such a login brings another notice at once."""
    refreshed: list[Any] = []
    notices: list[int] = []

    def on_refresh(service: ChatService, socket_id: str, credentials: Any) -> float:
        refreshed.append(credentials)
        return time.time() + 30

    hooks = {
        "on_connect": lambda *_: Login("alice", expires_at=time.time() + 30),
        "on_refresh": on_refresh,
    }
    async with serving(hooks=hooks) as service:
        client = client_at(service.port, auth={"token": "short"})
        client.on("loginExpiring", notices.append)
        async with client:
            await wait_until(lambda: len(notices) >= 2, "the notice after the refresh")
            # A loop would refresh once in each of these round trips.
            for _ in range(20):
                await client.commands.list_own_sockets()
            assert refreshed == [{"token": "short"}]
