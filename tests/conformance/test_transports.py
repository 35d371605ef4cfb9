"""The transports pass the suite of their protocol."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from chat_service.contracts.transport import Transport
from chat_service.testing import InProcessTransport
from chat_service.testing.transport_suite import Connect, MakeTransport, TransportClient, TransportSuite
from chat_service.transports.socketio import SocketIOTransport
from chat_service.transports.streams import LineTransport, WebSocketTransport
from chat_service.transports.transport_group import TransportGroup, share_port
from tests.conformance.hero_client import HeroLines, HeroSockets, connect_hero_line, connect_hero_socket
from tests.conformance.socketio_client import NAMESPACE, connector
from tests.conformance.stream_client import connect_line, connect_socket


class TestInProcess(TransportSuite):
    @pytest.fixture
    def make_transport(self) -> MakeTransport:
        return InProcessTransport

    @pytest.fixture
    def connect(self) -> Connect:
        async def connect(
            transport: Transport,
            *,
            query: Mapping[str, str] | None = None,
            headers: Mapping[str, str] | None = None,
            auth: Any = None,
        ) -> TransportClient:
            assert isinstance(transport, InProcessTransport)
            return await transport.connect(query=query, headers=headers, auth=auth)

        return connect


class SocketIO(TransportSuite):
    """A separate server on a free port. Subclasses define how clients connect."""

    serializer = "json"
    engine_transport = "websocket"

    @pytest.fixture
    def make_transport(self) -> MakeTransport:
        return lambda: SocketIOTransport(
            host="127.0.0.1", port=0, namespace=NAMESPACE, options={"serializer": self.serializer}
        )

    @pytest.fixture
    def connect(self) -> Connect:
        return connector(self.engine_transport, "default" if self.serializer == "json" else self.serializer)


class TestWebSocket(SocketIO):
    pass


class TestPolling(SocketIO):
    engine_transport = "polling"


class TestMsgpack(SocketIO):
    serializer = "msgpack"


class TestLines(TransportSuite):
    has_headers = False

    @pytest.fixture
    def make_transport(self) -> MakeTransport:
        return lambda: LineTransport(port=0, max_message_size=1_000_000)

    @pytest.fixture
    def connect(self) -> Connect:
        return connect_line


class TestPlainWebSocket(TransportSuite):
    """On a port of its own."""

    @pytest.fixture
    def make_transport(self) -> MakeTransport:
        return lambda: WebSocketTransport(port=0)

    @pytest.fixture
    def connect(self) -> Connect:
        return connect_socket


class TestActionHeroLines(TransportSuite):
    """``actionhero-client`` over TCP, which has no handshake."""

    has_headers = has_query = has_auth = False

    @pytest.fixture
    def make_transport(self) -> MakeTransport:
        return HeroLines

    @pytest.fixture
    def connect(self) -> Connect:
        return connect_hero_line


class TestActionHeroWebSocket(TransportSuite):
    """ActionHero's browser client over Primus."""

    has_auth = False

    @pytest.fixture
    def make_transport(self) -> MakeTransport:
        return HeroSockets

    @pytest.fixture
    def connect(self) -> Connect:
        return connect_hero_socket


class TestGroup(TransportSuite):
    """Clients of all transports in turn, so that channels are mixed."""

    @pytest.fixture
    def make_transport(self) -> MakeTransport:
        def make() -> Transport:
            main = SocketIOTransport(host="127.0.0.1", port=0, namespace=NAMESPACE)
            lines = LineTransport(port=0, max_message_size=1_000_000)
            members: list[Transport] = [main, WebSocketTransport(), lines]
            share_port(members, None, 0)
            return TransportGroup(members)

        return make

    @pytest.fixture
    def connect(self) -> Connect:
        connects = (connector("websocket"), connect_socket, connect_line)
        kinds = itertools.cycle(enumerate(connects))

        async def connect(transport: Transport, **handshake: Any) -> TransportClient:
            assert isinstance(transport, TransportGroup)
            number, connect_one = next(kinds)
            if number == 1:
                handshake["port"] = transport.port
            return await connect_one(transport.members[number], **handshake)

        return connect
