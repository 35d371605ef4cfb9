"""The ``socketio.AsyncServer`` of a service works like the library's own for applications."""

import asyncio
from typing import Any

import pytest

from chat_service.testing import wait_until
from tests.e2e.clients import NAMESPACE, NodeProcess
from tests.e2e.conftest import POLLING, UPGRADE, WEBSOCKET, ConnectTo, Serve
from tests.e2e.raw import event, websocket
from tests.operations.test_admin_ui import LOGIN, connect_admin
from tests.support.parts import parts_of
from tests.support.patience import PATIENCE


@pytest.mark.covers("api:get_server")
@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING, UPGRADE])
@pytest.mark.parametrize("kind", ["js", "py"])
async def test_emits_rooms_and_sessions(
    serve: Serve, login: ConnectTo, transports: list[str], kind: str
) -> None:
    service = await serve()
    server = service.transport.get_server()
    client = await login(service, "alice", transports=transports, kind=kind)
    other = await login(service, "bob")
    ids = {name: id for id, name in (await service.get_instance_sockets()).items()}
    alice, bob = ids["alice"], ids["bob"]
    await server.emit("one", {"a": b"x"}, to=alice, namespace=NAMESPACE)
    assert await client.wait_for("one") == [{"a": b"x"}]
    await server.enter_room(alice, "their room", namespace=NAMESPACE)
    assert server.rooms(alice, namespace=NAMESPACE) == [alice, "their room"]
    await server.emit("two", ("x", 2), room="their room", namespace=NAMESPACE)
    assert await client.wait_for("two") == ["x", 2]
    await server.emit("three", 3, room=["their room", bob], namespace=NAMESPACE)
    assert await client.wait_for("three") == await other.wait_for("three") == [3]
    await server.emit("all", 4, skip_sid=bob, namespace=NAMESPACE)
    assert await client.wait_for("all") == [4] and not other.received("all")
    async with server.session(alice, namespace=NAMESPACE) as session:
        session["seen"] = True
    assert (await server.get_session(alice, namespace=NAMESPACE))["seen"]
    assert server.transport(alice, namespace=NAMESPACE) in ("websocket", "polling")
    assert "userName=alice" in server.get_environ(alice, NAMESPACE)["QUERY_STRING"]
    await server.leave_room(alice, "their room", namespace=NAMESPACE)
    await server.disconnect(alice, namespace=NAMESPACE)
    await client.wait_for("disconnect")
    await wait_until(
        lambda: [item.socket_id for item in parts_of(service).sessions.all()] == [bob], "alice to be gone"
    )


async def test_emits_with_a_callback_keep_their_order(serve: Serve) -> None:
    service = await serve()
    server = service.transport.get_server()
    called: list[Any] = []

    async def callback(*values: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.sleep(0)
        called.append(values)

    async with websocket(service.port) as raw:
        await raw.login()
        (socket_id,) = parts_of(service).transport.socket_ids()
        transport = parts_of(service).transport
        transport.emit(socket_id, "first", ())
        await server.emit("asked", 1, to=socket_id, namespace=NAMESPACE, callback=callback)
        transport.emit(socket_id, "last", ())
        received = [str(await raw.recv()) for _ in range(3)]
        assert received == [event("first"), event("asked", 1, id=1).replace(" ", ""), event("last")]
        await raw.send(f'43{NAMESPACE},1["yes",2]')
        await wait_until(lambda: called == [("yes", 2)], "the callback")
        asking = asyncio.create_task(server.call("asked", to=socket_id, namespace=NAMESPACE, timeout=5))
        assert (await raw.recv_start(f"42{NAMESPACE},2")).endswith('["asked"]')
        await raw.send(f"43{NAMESPACE},2[7]")
        assert await asking == 7


async def test_other_namespaces(serve: Serve) -> None:
    service = await serve()
    server = service.transport.get_server()
    seen: list[Any] = []

    async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.sleep(0)
        seen.append(("connect", environ["QUERY_STRING"], auth))

    async def echo(sid: str, *values: Any) -> tuple[Any, ...]:
        return values

    async def disconnect(sid: str, reason: str) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.sleep(0)
        seen.append(("disconnect", reason))

    for handler in (connect, echo, disconnect):
        server.on(handler.__name__, handler, namespace="/other")
    async with websocket(service.port) as raw:
        await raw.send('40/other,{"a":1}')
        # In order, although a handler waits.
        await raw.login()
        await raw.send('42/other,5["echo","x",{"b":null}]')
        assert await raw.recv_start("43/other,5") == '43/other,5["x",{"b":null}]'
        await raw.send('42/other,6["nothing"]')
        assert (await raw.ack("listOwnSockets"))[0] is None
        ((name, query, auth),) = seen
        assert name == "connect" and "userName=raw" in query and auth == {"a": 1}
    await wait_until(lambda: len(seen) == 2, "the disconnect")
    assert seen[1] == ("disconnect", "transport close")


@pytest.mark.parametrize("mode", ["production", "development"])
async def test_the_instrumentation_of_the_library(
    serve: Serve, login: ConnectTo, node_process: NodeProcess, mode: str
) -> None:
    """``instrument()`` as the documentation of python-socketio has it."""
    service = await serve()
    server = service.transport.get_server()
    instrumentation = server.instrument(auth=LOGIN, mode=mode, server_stats_interval=0.1)
    try:
        client = await login(service, "alice")
        # In development it looks for five seconds whether a polling client is upgraded.
        transports = POLLING if mode == "production" else WEBSOCKET
        poller = await login(service, "bob", transports=transports)
        admin = await connect_admin(node_process, service.port, **LOGIN)
        (config,) = await admin.wait_for("config")
        assert ("ALL_EVENTS" in config["supportedFeatures"]) is (mode == "development")
        if mode == "development":
            (sockets,) = await admin.wait_for("all_sockets")
            found = {(item["nsp"], item["transport"]) for item in sockets}
            assert found == {(NAMESPACE, "websocket"), ("/admin", "websocket")}
        while (stats := (await admin.wait_for("server_stats"))[0])["clientsCount"] != 3:
            pass
        assert stats["pollingClientsCount"] == (mode == "production")
        assert await client.call("listOwnSockets") and await poller.call("listOwnSockets")
        # It ends sockets from there, and hears of those that end.
        (alice, *_) = [id for id, name in (await service.get_instance_sockets()).items() if name == "alice"]
        await server.disconnect(alice, namespace=NAMESPACE)
        await client.wait_for("disconnect")
        if mode == "development":
            assert (await admin.wait_for("socket_disconnected", NAMESPACE, alice))[2] == "server disconnect"
        stranger = await connect_admin(node_process, service.port, username="x", password="y")
        assert (await stranger.wait_for("connect_error"))[0] == "authentication failed"
    finally:
        # It has put itself into classes of the library.
        instrumentation.uninstrument()
        await instrumentation.shutdown()
