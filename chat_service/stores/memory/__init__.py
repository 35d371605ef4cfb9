"""State in the memory of one process, for one instance or for several in the same process."""

from chat_service.stores.memory.backend import MemoryBackend
from chat_service.stores.memory.memory_store import MemoryStore

__all__ = ["MemoryBackend", "MemoryStore"]
