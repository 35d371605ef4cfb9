"""The public types as an application uses them. Checked by mypy --strict, never run."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, assert_type

from chat_service import (
    ChatService,
    ChatServiceError,
    Clock,
    CommandCall,
    DisconnectInfo,
    FailureInfo,
    Handshake,
    MembershipInfo,
    MemoryBackend,
    MemoryStore,
    Message,
    Options,
    Store,
    SystemClock,
    Transport,
    user_channel,
)
from chat_service.testing import FakeClock, InProcessClient, InProcessTransport, wait_until


class Hooks:
    """Hooks as an object."""

    async def on_connect(self, service: ChatService, socket_id: str) -> tuple[str, dict[str, Any]]:
        handshake = service.transport.get_handshake_data(socket_id)
        assert_type(handshake, Handshake)
        assert_type(handshake.is_connected, bool)
        assert_type(handshake.remote_addr, str | None)
        return handshake.query["userName"], {"any": "data"}

    def on_join(self, service: ChatService, info: MembershipInfo) -> None:
        number: int = info.njoined
        names: tuple[str, str, str] = (info.id, info.user_name, info.room_name)
        print(number, names)

    async def on_disconnect(self, service: ChatService, info: DisconnectInfo) -> None:
        for room, count in zip(info.rooms_removed, info.joined_sockets, strict=True):
            text: str = room
            print(text, count + 1)


async def main() -> None:
    """An application."""
    service = ChatService(
        Options(port=0, store=MemoryStore(MemoryBackend()), transport=InProcessTransport()), hooks=Hooks()
    )
    ChatService(port=8000, hooks={"on_connect": lambda service, socket_id: "alice"}, close_timeout=5)
    ChatService(store="memory", store_options={"lock_ttl": 5}, clock=FakeClock(), host=None)

    @service.before("roomMessage")
    async def before(call: CommandCall) -> list[int] | None:
        assert_type(call.args, list[Any])
        assert_type(call.rest_args, list[Any])
        assert_type(call.options, Mapping[str, Any])
        assert_type(call.extra, tuple[Any, ...])
        assert_type(call.user_name, str | None)
        assert_type(call.results, list[Any] | None)
        assert_type(call.error, Exception | None)
        assert_type(call.data, dict[str, Any])
        assert_type(call.is_local_call, bool)
        return None

    # A decorator gives back what it was given.
    kept: Callable[[CommandCall], Awaitable[list[int] | None]] = before

    @service.after("room_message")
    def after(call: CommandCall) -> None:
        raise ChatServiceError("outOfCoffee", 5)

    after_type: Callable[[CommandCall], None] = after

    @service.before("roomMessage", priority=10)
    def early(call: CommandCall) -> None: ...

    @service.command("pollVote", {"roomName": "room", "choice": "integer"}, result="integer")
    async def vote(call: CommandCall, room: str, choice: int) -> int:
        return choice

    vote_type: Callable[[CommandCall, str, int], Awaitable[int]] = vote
    print(early, vote_type)

    @service.on("closed")
    async def closed(error: Exception | None) -> None: ...

    closed_type: Callable[[Exception | None], Awaitable[None]] = closed

    @service.on("store_consistency_failure")
    def failed(error: Exception, info: FailureInfo) -> None:
        print(info.op_type, info.user_name, info.room_name, info.id)

    service.on("ready", lambda: None)
    print(kept, after_type, closed_type, failed)

    async with service as same:
        assert_type(same, ChatService)
        assert_type(await service.exec_user_command("alice", "listOwnSockets"), list[Any])
        await service.exec_user_command(True, "roomMessage", "room", {"textMessage": "hi"})
        await service.exec_user_command({"user_name": "alice", "id": "socket"}, "roomJoin", "room")
        await service.add_room("room", owner=None, whitelist=("a", "b"), history_max_size=0)
        await service.add_user("alice", blacklist=["bob"], whitelist_only=True)
        assert_type(await service.has_room("room"), bool)
        assert_type(await service.get_instance_heartbeat(), int | None)
        assert_type(await service.get_instance_sockets("id"), dict[str, str])
        assert_type(service.instance_uid, str)
        assert_type(service.port, int | None)
        await service.broadcast_all("news", 1)
        service.send_to_user("alice", "badge", 3)
        service.send_to_socket(None, "socket", "badge", {"a": b"b"})
        await service.add_member("alice", "room", "socket")
        assert_type(await service.remove_member("alice", "room"), None)
        service.transport.bind_handler("socket", "ask", lambda *args: args)
        await service.transport.emit_to_channel(user_channel("alice"), "news", 1, b"2")
        service.transport.send_to_channel("socket", "room", "news")
        service.cluster_bus.on("event", print)
        await service.cluster_bus.emit("event", {"a": 1})


class NameTaken(ChatServiceError):
    """An error of the application."""

    texts = {"nameTaken": "%s is taken"}  # noqa: RUF012


def records(error: ChatServiceError, message: Message, handshake: Handshake) -> None:
    """What errors and records show."""
    assert_type(error.code, str)
    assert_type(error.arguments, tuple[Any, ...])
    assert_type(handshake.query, Mapping[str, str])
    assert_type(message, dict[str, Any])


def protocols(store: MemoryStore, transport: InProcessTransport) -> tuple[Store, Transport, Clock, Clock]:
    """What is built in conforms to the protocols."""
    return store, transport, SystemClock(), FakeClock()


async def kit(transport: InProcessTransport) -> None:
    """The test kit."""
    client = await transport.login("alice", auth={"token": 1})
    assert_type(client, InProcessClient)
    assert_type(await client.emit("roomJoin", "room"), list[Any])
    assert_type(client.received("roomMessage"), list[list[Any]])
    await wait_until(lambda: client.connected, "the connection")
