"""Services on real sockets, and real clients for them."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from chat_service import ChatService
from tests.e2e.clients import Client, NodeProcess, PythonClients
from tests.support.world import name_by_query

#: Starts a service on a free port. Rooms management and direct messages are on unless options say.
Serve = Callable[..., Awaitable[ChatService]]
#: ``await connect(service, name, kind="js" or "py", transports=..., msgpack=..., **options)``
ConnectTo = Callable[..., Awaitable[Any]]

WEBSOCKET, POLLING, UPGRADE = ["websocket"], ["polling"], ["polling", "websocket"]


@pytest.fixture(autouse=True)
def no_error_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test during which something was logged as an error, or a task's exception got lost."""
    yield
    gc.collect()
    records = [*caplog.get_records("setup"), *caplog.get_records("call"), *caplog.get_records("teardown")]
    errors = [record.getMessage() for record in records if record.levelno >= logging.ERROR]
    assert errors == []


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    services: list[ChatService] = []

    async def start(*, hooks: dict[str, Any] | None = None, **options: Any) -> ChatService:
        options = {"enable_rooms_management": True, "enable_direct_messages": True, **options}
        hooks = {"on_connect": name_by_query, **(hooks or {})}
        service = ChatService(host="127.0.0.1", hooks=hooks, **{"port": 0, "command_rate": None, **options})
        services.append(service)
        await service.start()
        return service

    yield start
    for service in reversed(services):
        await service.close()


@pytest.fixture(scope="session")
def node_process() -> Iterator[NodeProcess]:
    process = NodeProcess()
    yield process
    process.close()


@pytest.fixture
async def connect(node_process: NodeProcess) -> AsyncIterator[ConnectTo]:
    python = PythonClients()

    async def start(
        service: ChatService | int | None,
        name: str,
        *,
        kind: str = "js",
        transports: Any = None,
        **options: Any,
    ) -> Client:
        port = service.port if isinstance(service, ChatService) else service
        make = node_process.connect if kind == "js" else python.connect
        return await make(f"http://127.0.0.1:{port}", name, transports=transports or WEBSOCKET, **options)

    yield start
    await python.close()
    await node_process.reset()
    # The libraries close their connections in their own tasks.
    await asyncio.sleep(0)


@pytest.fixture
def login(connect: ConnectTo) -> ConnectTo:
    """As ``connect``, with the login confirmed and its events forgotten."""

    async def start(service: ChatService, name: str, **options: Any) -> Client:
        client: Client = await connect(service, name, **options)
        await client.wait_for("loginConfirmed")
        client.events.clear()
        return client

    return start
