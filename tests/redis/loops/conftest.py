"""These tests run on both event loops, on which connections fail in different ways."""

from tests.e2e.loops.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
