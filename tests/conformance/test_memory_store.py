"""The memory store passes the suite of its protocol."""

import pytest

from chat_service.stores.memory import MemoryBackend, MemoryStore
from chat_service.testing.store_suite import MakeStore, StoreSuite


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def make_store(self) -> MakeStore:
        backend = MemoryBackend()
        return lambda: MemoryStore(backend)
