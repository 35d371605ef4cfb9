"""The operations pages on their own port or mounted, and the causes of unreadiness."""

import socket

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from chat_service import ChatService, StoreTimeoutError
from chat_service.operations import health
from chat_service.testing import InProcessTransport
from tests.operations.pages import get, get_json, scrape
from tests.support.faults import FaultyStore, as_store
from tests.support.parts import parts_of
from tests.support.world import World


@pytest.mark.covers("option:operations_port", "option:operations_host", "api:operations.port")
async def test_pages_have_their_own_loopback_port(world: World) -> None:
    instance = await world.start(operations_port=0)
    port = instance.service.operations.port
    uid = instance.service.instance_uid
    assert await get_json(port, "/healthz") == (200, {"status": "ok", "instance": uid})
    checks = {"service": "ok", "lease": "ok", "store": "ok", "bus": "ok"}
    assert await get_json(port, "/readyz") == (200, {"status": "ready", "checks": checks, "instance": uid})
    status, content_type, text = await get(port, "/metrics")
    assert status == 200 and content_type.startswith("text/plain; version=")
    assert "chat_service_running 1.0" in text.splitlines()
    assert uid in text and "process_resident_memory_bytes" in text
    _, content_type, text = await get(port, "/metrics", accept="application/openmetrics-text")
    assert content_type.startswith("application/openmetrics-text") and text.endswith("# EOF\n")
    assert (await get(port, "/"))[0] == 404
    server = instance.service.operations._server
    assert server is not None and server._runner is not None
    assert [address[0] for address in server._runner.addresses] == ["127.0.0.1"]
    await instance.service.close()
    assert instance.service.operations.port is None
    with pytest.raises(aiohttp.ClientConnectionError):
        await get(port, "/healthz")


async def test_without_the_option_nothing_is_served() -> None:
    async with ChatService(host="127.0.0.1", port=0) as service:
        assert service.operations.port is None
        for path in ("/metrics", "/healthz", "/readyz"):
            assert (await get(service.port, path))[0] == 404


async def test_port_in_use_fails_the_start() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service = ChatService(transport=InProcessTransport(), operations_port=taken.getsockname()[1])
        with pytest.raises(OSError, match="address already in use"):
            await service.start()


async def test_replacing_process_shares_the_port(world: World) -> None:
    first = world.make(operations_port=0)
    first.service.operations.shares_port = True
    await first.service.start()
    port = first.service.operations.port
    second = world.make(operations_port=port)
    second.service.operations.shares_port = True
    await second.service.start()
    await first.service.close()
    _, page = await get_json(port, "/readyz")
    assert page["instance"] == second.service.instance_uid


async def test_instance_is_unready_before_the_start_and_after_the_close(world: World) -> None:
    seen = []

    async def look(service: ChatService) -> None:
        seen.append(await get_json(service.operations.port, "/readyz"))
        seen.append(await get_json(service.operations.port, "/healthz"))

    async def look_at_the_end(service: ChatService, error: Exception | None) -> None:
        await look(service)

    instance = world.make(operations_port=0, hooks={"on_start": look, "on_close": look_at_the_end})
    await instance.service.start()
    await instance.service.close()
    assert [status for status, _ in seen] == [503, 200, 503, 200]
    assert seen[0][1]["checks"] == {"service": "starting"}
    assert seen[2][1]["checks"] == {"service": "closing"}
    readiness = await instance.service.operations.readiness()
    assert readiness.as_dict() == {"status": "unready", "checks": {"service": "closed"}}


@pytest.mark.covers("api:operations.readiness")
async def test_instance_is_unready_while_its_store_does_not_respond(world: World) -> None:
    store = FaultyStore(world.backend.new_store())
    instance = await world.start(store=as_store(store), operations_port=0)
    port = instance.service.operations.port
    assert (await get_json(port, "/readyz"))[0] == 200
    store.faults.fail("instance_get_heartbeat", StoreTimeoutError("gone fishing"))
    status, page = await get_json(port, "/readyz")
    assert status == 503 and page["checks"]["store"] == "gone fishing"
    assert (await get_json(port, "/healthz"))[0] == 200
    store.faults.mend("instance_get_heartbeat")
    assert (await get_json(port, "/readyz"))[0] == 200


async def test_instance_unknown_to_the_store_is_unready(world: World) -> None:
    instance = await world.start()
    await world.start()
    await parts_of(instance.service).store.instance_forget(parts_of(instance.service).instance_id())
    readiness = await instance.service.operations.readiness()
    assert not readiness.is_ready
    assert readiness.as_dict()["checks"]["store"] == "the store does not know this instance"


@pytest.mark.covers("api:operations.add_routes")
async def test_pages_mounted_in_an_aiohttp_application() -> None:
    async with ChatService(transport=InProcessTransport()) as service:
        app = web.Application()
        service.operations.add_routes(app, "/internal")
        async with TestClient(TestServer(app)) as client:
            answer = await client.get("/internal/readyz")
            assert answer.status == 200 and (await answer.json())["status"] == "ready"
            answer = await client.get("/internal/metrics")
            assert "chat_service_running 1.0" in await answer.text()
            assert (await client.get("/metrics")).status == 404


async def asgi_get(app, path: str, *, method: str = "GET", root_path: str = "") -> tuple[int, bytes]:
    sent = []

    async def send(message) -> None:
        sent.append(message)

    async def receive():
        raise AssertionError("nothing is read")

    scope = {"type": "http", "method": method, "path": path, "root_path": root_path, "headers": []}
    await app(scope, receive, send)
    start, body = sent
    headers = dict(start["headers"])
    if method != "HEAD":
        assert int(headers[b"content-length"]) == len(body["body"])
    return start["status"], body["body"]


@pytest.mark.covers("api:operations.asgi_app")
async def test_pages_as_an_asgi_application() -> None:
    async with ChatService(transport=InProcessTransport()) as service:
        app = service.operations.asgi_app()
        assert (await asgi_get(app, "/readyz"))[0] == 200
        assert (await asgi_get(app, "/internal/healthz", root_path="/internal"))[0] == 200
        status, body = await asgi_get(app, "/metrics")
        assert status == 200 and b"chat_service_running 1.0" in body
        assert await asgi_get(app, "/healthz", method="HEAD") == (200, b"")
        assert (await asgi_get(app, "/healthz", method="POST"))[0] == 404
        assert (await asgi_get(app, "/secrets"))[0] == 404


async def test_metrics_of_instances_are_separate(world: World) -> None:
    first = await world.start(operations_port=0)
    second = await world.start(operations_port=0)
    await first.login("alice")
    assert (await scrape(first.service.operations.port))["chat_service_sockets"] == 1
    assert (await scrape(second.service.operations.port))["chat_service_sockets"] == 0


async def test_hanging_store_does_not_block_readiness(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STORE_PATIENCE", 0.05)
    store = FaultyStore(world.backend.new_store())
    instance = await world.start(store=as_store(store))
    gate = store.faults.gate("instance_get_heartbeat")
    readiness = await instance.service.operations.readiness()
    assert readiness.as_dict()["checks"]["store"] == "TimeoutError"
    gate.set()
