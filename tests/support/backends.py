"""The stores that the whole suite runs on: each backend makes stores that share their state."""

from typing import Protocol

from chat_service.stores.base import Store
from chat_service.stores.memory import MemoryBackend, MemoryStore


class Backend(Protocol):
    """Where the state of one test is."""

    name: str

    def new_store(self) -> Store:
        """A store for one more instance, over the same state."""
        ...

    async def leftovers(self) -> list[str]:
        """What is still there although no user, room or instance is; empty when all is well."""
        ...


class InMemory:
    """The memory store."""

    name = "memory"

    def __init__(self) -> None:
        self.shared = MemoryBackend()

    def new_store(self) -> Store:
        return MemoryStore(self.shared)

    async def leftovers(self) -> list[str]:
        return [f"subscription of {topic}" for topic in self.shared.hub.topics()]
