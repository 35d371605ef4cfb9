"""Examples as people run them: real servers on free ports, and real clients."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from chat_service import ChatService
from tests.e2e.clients import Client, PythonClients
from tests.support.backends import ONE_STORE, Backend

#: ``await start(example.make_service, *args, **options)``: one more instance over the test's store.
Start = Callable[..., Awaitable[ChatService]]
#: ``await login(service, name, auth=..., msgpack=...)``: a client whose login was confirmed.
Login = Callable[..., Awaitable[Client]]

one_store = ONE_STORE
#: For examples that have something to do with several instances.
both_stores = pytest.mark.parametrize("backend", ["memory", "redis"], indirect=True)


@pytest.fixture(autouse=True)
def no_error_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test during which something was logged as an error."""
    yield
    records = [*caplog.get_records("setup"), *caplog.get_records("call"), *caplog.get_records("teardown")]
    assert [record.getMessage() for record in records if record.levelno >= logging.ERROR] == []


@pytest.fixture
async def start(backend: Backend) -> AsyncIterator[Start]:
    services: list[ChatService] = []

    async def begin(make_service: Callable[..., ChatService], *args: Any, **options: Any) -> ChatService:
        service = make_service(*args, host="127.0.0.1", port=0, store=backend.new_store(), **options)
        services.append(service)
        await service.start()
        return service

    yield begin
    for service in reversed(services):
        await service.close()


@pytest.fixture
async def connect(start: Start) -> AsyncIterator[Login]:
    """As ``login``, without waiting for the login."""
    clients = PythonClients()

    async def begin(service: ChatService, name: str, **options: Any) -> Client:
        url = f"http://127.0.0.1:{service.port}"
        return await clients.connect(url, name, transports=["websocket"], **options)

    yield begin
    await clients.close()
    # The library closes its connections in its own tasks.
    await asyncio.sleep(0)


@pytest.fixture
def login(connect: Login) -> Login:
    async def begin(service: ChatService, name: str, **options: Any) -> Client:
        client = await connect(service, name, **options)
        await client.wait_for("loginConfirmed")
        return client

    return begin
