"""example/four_protocols.py: a line, a plain WebSocket, an ActionHero client and Socket.IO in one room."""

from chat_service.transports.streams import LineTransport
from chat_service.transports.transport_group import TransportGroup
from example import four_protocols
from tests.examples.conftest import Start, both_stores
from tests.support.parts import parts_of


@both_stores
async def test_four_protocols_hear_each_other_in_one_order(start: Start) -> None:
    service = await start(four_protocols.make_service, line_port=0)
    group = parts_of(service).transport
    assert isinstance(group, TransportGroup)
    (line,) = (member for member in group.members if isinstance(member, LineTransport))
    assert service.port is not None and line.port is not None
    heard = await four_protocols.converse("127.0.0.1", service.port, line.port)
    assert list(heard) == ["telnet", "websocket", "actionhero", "socket.io"]
    said = [(name, f"Hello from {name}") for name in heard]
    first = heard["telnet"]
    assert sorted(first) == sorted(said)
    assert all(messages == first for messages in heard.values())
