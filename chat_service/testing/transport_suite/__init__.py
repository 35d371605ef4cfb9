"""The conformance suite of the ``Transport`` protocol, as a pytest class.

Subclass ``TransportSuite`` under a name that pytest collects, and override two fixtures::

    class TestMyTransport(TransportSuite):
        @pytest.fixture
        def make_transport(self):
            return MyTransport

        @pytest.fixture
        def connect(self):
            return connect_my_client

``make_transport`` returns a function that creates a new, unstarted transport. ``connect`` returns a
``Connect``: an async function that connects a client (see ``TransportClient``) to a transport. Requires
pytest and pytest-asyncio in any mode.
"""

import pytest

for _part in ("base", "channels", "life", "sockets"):
    # Makes failing asserts show their values, as in test modules.
    pytest.register_assert_rewrite(f"{__name__}.{_part}")

from chat_service.testing.transport_suite.base import Connect, MakeTransport, TransportClient  # noqa: E402
from chat_service.testing.transport_suite.channels import ChannelSuite  # noqa: E402
from chat_service.testing.transport_suite.life import LifeSuite  # noqa: E402
from chat_service.testing.transport_suite.sockets import SocketSuite  # noqa: E402


class TransportSuite(LifeSuite, SocketSuite, ChannelSuite):
    """The complete suite for the ``Transport`` protocol."""


__all__ = [
    "ChannelSuite",
    "Connect",
    "LifeSuite",
    "MakeTransport",
    "SocketSuite",
    "TransportClient",
    "TransportSuite",
]
