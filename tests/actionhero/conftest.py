"""Services that speak ActionHero's dialect, and ActionHero's clients."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import pytest

from chat_service import ChatService
from chat_service.actionhero import ActionHeroChat
from chat_service.transports.actionhero import ActionHeroDialect, PrimusDialect
from chat_service.transports.streams import LineTransport, WebSocketTransport
from tests.actionhero.heroes import DRIVER, Heroes
from tests.e2e.clients import NodeProcess
from tests.support.backends import Backend


class Server(NamedTuple):
    """A running service with its chat."""

    service: ChatService
    chat: ActionHeroChat


#: ``await serve(lines=..., primus=..., dialect=..., **options)``: one more instance over the test's store, on
#: free ports, with the room "lobby".
Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
def no_error_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test during which something was logged as an error."""
    yield
    records = [*caplog.get_records("setup"), *caplog.get_records("call"), *caplog.get_records("teardown")]
    assert [record.getMessage() for record in records if record.levelno >= logging.ERROR] == []


@pytest.fixture(scope="session")
def hero_process() -> Iterator[NodeProcess]:
    process = NodeProcess(DRIVER)
    yield process
    process.close()


@pytest.fixture
async def serve(backend: Backend) -> AsyncIterator[Serve]:
    services: list[ChatService] = []

    async def start(
        *,
        lines: dict[str, Any] | None = None,
        primus: dict[str, Any] | None = None,
        dialect: dict[str, Any] | None = None,
        **options: Any,
    ) -> Server:
        service = ChatService(
            host="127.0.0.1",
            port=0,
            store=backend.new_store(),
            transport=[
                "socket.io",
                WebSocketTransport(
                    path="/primus", dialect=PrimusDialect(**(dialect or {})), **(primus or {})
                ),
                LineTransport(port=0, dialect=ActionHeroDialect(**(dialect or {})), **(lines or {})),
            ],
            **{"command_rate": None, **options},
        )
        chat = ActionHeroChat(service)
        services.append(service)
        await service.start()
        await service.add_room("lobby", exist_ok=True)
        return Server(service, chat)

    yield start
    for service in reversed(services):
        await service.close()


@pytest.fixture
async def heroes(hero_process: NodeProcess, serve: Serve) -> AsyncIterator[Heroes]:
    made = Heroes(hero_process)
    yield made
    await made.close()
