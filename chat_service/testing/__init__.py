"""The test kit: fast clients, a controllable clock, and conformance suites for plugins."""

from chat_service.testing.clock import FakeClock
from chat_service.testing.in_process import ConnectionRefused, InProcessClient, InProcessTransport
from chat_service.testing.waiting import wait_until

__all__ = ["ConnectionRefused", "FakeClock", "InProcessClient", "InProcessTransport", "wait_until"]
