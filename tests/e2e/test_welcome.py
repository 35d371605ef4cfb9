"""``/`` of a service without a page shows one line and a link. By default only local clients can connect."""

import socket

import aiohttp
import pytest

from chat_service import ChatService
from chat_service.demo import Demo
from tests.e2e.mounted import get_text
from tests.e2e.test_mounting_asgi import uvicorn_server


def _is_welcome(answer: tuple[int, str]) -> bool:
    status, text = answer
    is_line = len(text.strip().splitlines()) == 1
    return status == 200 and is_line and "namespace /&lt;tea&gt;" in text and '<a href="https://' in text


async def test_a_service_on_its_own_port() -> None:
    async with ChatService(port=0, namespace="/<tea>") as service:
        assert service.port is not None
        assert _is_welcome(await get_text(service.port, "/"))
        assert (await get_text(service.port, "/nothing"))[0] == 404


@pytest.mark.parametrize("root", ["", "/chat"])
async def test_a_service_that_is_an_asgi_application(root: str) -> None:
    service = ChatService(namespace="/<tea>")
    async with uvicorn_server(service.asgi_app(), root_path=root) as (_, port):
        assert _is_welcome(await get_text(port, "/"))
        async with aiohttp.ClientSession() as http, http.head(f"http://127.0.0.1:{port}/") as response:
            assert (response.status, await response.read()) == (200, b"")
        assert (await get_text(port, "/nothing"))[0] == 404


@pytest.mark.covers("option:host", "option:operations_host")
async def test_by_default_only_this_machine_can_connect() -> None:
    """All of 127.0.0.0/8 are addresses of this machine; what listens on all of them listens on 127.0.0.2."""
    async with ChatService(port=0, operations_port=0) as service, Demo(port=0) as demo:
        for port in (service.port, service.operations.port, demo.port):
            assert port is not None
            socket.create_connection(("127.0.0.1", port), 5).close()
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(("127.0.0.2", port), 5)
    async with ChatService(host="0.0.0.0", port=0) as service:
        socket.create_connection(("127.0.0.2", service.port or 0), 5).close()
