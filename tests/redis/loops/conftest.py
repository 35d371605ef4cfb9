"""The tests of this directory run on both event loops: connections fail in different ways on them."""

from tests.e2e.loops.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
