"""Listening at an address other than that of the options."""

import socket

import pytest
from aiohttp import web

from chat_service import ChatService, ConfigurationError
from chat_service.testing import InProcessTransport
from tests.e2e.raw import websocket


@pytest.mark.covers("api:listen_at")
async def test_an_address_overrides_the_options() -> None:
    service = ChatService(host="127.0.0.1", port=1)
    service.listen_at(port=0)
    async with service:
        assert service.port is not None and service.port > 1
        async with websocket(service.port):
            pass


async def test_sockets_that_listen_already() -> None:
    service = ChatService(host="192.0.2.1", port=1)
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [each.getsockname()[1] for each in listening]
    service.listen_at(sockets=listening)
    async with service:
        assert service.port in ports
        for port in ports:
            async with websocket(port):
                pass


def test_a_service_without_an_address() -> None:
    with pytest.raises(ConfigurationError, match="does not listen on an address"):
        ChatService(transport=InProcessTransport()).listen_at(port=0)
    with pytest.raises(ConfigurationError, match="is mounted on an application"):
        ChatService(transport_options={"app": web.Application()}).listen_at(port=0)
