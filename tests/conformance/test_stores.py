"""The built-in stores pass the suite of their protocol."""

from collections.abc import AsyncIterator

import pytest

from chat_service.testing.store_suite import MakeStore, StoreSuite
from tests.conftest import BACKENDS
from tests.support.backends import Backend, InMemory, InRedis


class TestBuiltInStore(StoreSuite):
    @pytest.fixture(params=BACKENDS)
    async def make_store(self, request: pytest.FixtureRequest) -> AsyncIterator[MakeStore]:
        made: Backend
        if request.param == "memory":
            made = InMemory()
        else:
            made = InRedis(request.getfixturevalue(f"{request.param}_servers"))
        yield made.new_store
        # The suite leaves sockets connected, as dying instances do. Remove them.
        await made.leftovers()
