"""What applications do with the ``socketio.AsyncServer`` of a service: it works as that of the library."""

import asyncio
from typing import Any

import pytest

from chat_service.testing import wait_until
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import POLLING, UPGRADE, WEBSOCKET, ConnectTo, Serve
from tests.e2e.raw import event, websocket
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
        lambda: [item.socket_id for item in service._context.sessions.all()] == [bob], "alice to be gone"
    )


async def test_emits_with_a_callback_come_in_order_with_all_else(serve: Serve) -> None:
    service = await serve()
    server = service.transport.get_server()
    called: list[Any] = []

    async def callback(*values: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.sleep(0)
        called.append(values)

    async with websocket(service.port) as raw:
        await raw.login()
        (socket_id,) = service._context.transport.socket_ids()
        transport = service._context.transport
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
