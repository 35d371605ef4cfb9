"""The memory store: state in one process, for one or more instances in it."""

from chat_service.stores.memory.backend import MemoryBackend
from chat_service.stores.memory.memory_store import MemoryStore

__all__ = ["MemoryBackend", "MemoryStore"]
