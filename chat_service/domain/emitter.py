"""Named events with plain or coroutine listeners, for ``service.on`` and the cluster bus."""

import logging
from collections.abc import Collection
from typing import Any

from chat_service.concurrency.running import RunningWork
from chat_service.errors import ConfigurationError
from chat_service.hooks import Hook, call_hook
from chat_service.options import refuse_unknown

logger = logging.getLogger("chat_service")


class EventEmitter:
    """Calls the listeners of an event. ``known``: the only names there are, any name when None."""

    def __init__(self, running: RunningWork, known: Collection[str] | None = None) -> None:
        self._running = running
        self._known = known
        self._listeners: dict[str, list[Hook]] = {}

    def add(self, event: str, listener: Hook) -> None:
        if self._known is not None:
            refuse_unknown("event", {event: None}, list(self._known))
        if not callable(listener):
            raise ConfigurationError(f"event {event}: expected a function, got {listener!r}")
        self._listeners.setdefault(event, []).append(listener)

    def remove(self, event: str, listener: Hook) -> None:
        """Forget a listener. Unknown ones are ignored."""
        listeners = self._listeners.get(event, [])
        if listener in listeners:
            listeners.remove(listener)

    def emit(self, event: str, *args: Any) -> None:
        """Start every listener of an event, in order; does not wait for them. What they raise is logged."""
        listeners = self._listeners.get(event)
        if listeners:
            self._running.spawn(self.emit_and_wait(event, *args), f"listeners of {event}")

    async def emit_and_wait(self, event: str, *args: Any) -> None:
        """Call every listener of an event, one after another. What they raise is logged."""
        for listener in tuple(self._listeners.get(event, ())):
            try:
                await call_hook(listener, *args)
            except Exception:
                logger.exception("a listener of event %s failed", event)
