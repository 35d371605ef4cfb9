"""Faults on purpose: a store that fails where a test says so, and loses what the bus delivers."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from chat_service.contracts.bus import Bus, BusListener, Envelope, Topic
from chat_service.contracts.store import Store

#: Says whether an envelope gets lost on its way to this instance.
Loss = Callable[[Topic, Envelope], bool]


class Faults:
    """What goes wrong, by the name of a store's or a bus's method."""

    def __init__(self) -> None:
        #: The methods that were called, in order.
        self.calls: list[str] = []
        self._errors: dict[str, tuple[BaseException, bool]] = {}
        self._gates: dict[str, asyncio.Event] = {}
        #: How many calls wait at a gate.
        self.waiting = 0

    def fail(self, method: str, error: BaseException, *, done: bool = False) -> None:
        """Let a method raise, until ``mend``. ``done``: it raises after it did its work."""
        self._errors[method] = (error, done)

    def mend(self, method: str) -> None:
        """Let a method work again."""
        del self._errors[method]

    def gate(self, method: str) -> asyncio.Event:
        """Let a method wait until the event is set."""
        gate = self._gates[method] = asyncio.Event()
        return gate

    async def run(self, method: str, work: Callable[[], Any]) -> Any:
        """One call of a method."""
        self.calls.append(method)
        gate = self._gates.get(method)
        if gate is not None:
            self.waiting += 1
            await gate.wait()
            self.waiting -= 1
        error, done = self._errors.get(method, (None, False))
        if error is not None and not done:
            raise error
        result = await work()
        if error is not None:
            raise error
        return result


def _passing(name: str) -> Any:
    async def method(self: Any, *args: Any, **keywords: Any) -> Any:
        inner = getattr(self.inner, name)
        return await self.faults.run(name, lambda: inner(*args, **keywords))

    return method


class FaultyBus:
    """A real bus with faults."""

    def __init__(self, inner: Bus, faults: Faults) -> None:
        self.inner = inner
        self.faults = faults

    subscribe = _passing("subscribe")
    unsubscribe = _passing("unsubscribe")
    publish = _passing("publish")


class LossyListener:
    """Hands envelopes on but for those that get lost."""

    def __init__(self, inner: BusListener, owner: "FaultyStore") -> None:
        self.inner = inner
        self._owner = owner

    def on_envelope(self, topic: Topic, envelope: Envelope) -> None:
        if self._owner.loses(topic, envelope):
            self._owner.lost.append(envelope)
        else:
            self.inner.on_envelope(topic, envelope)

    def on_interruption(self, topic: Topic) -> None:
        self.inner.on_interruption(topic)


class FaultyStore:
    """A real store with faults."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.faults = Faults()
        #: Which envelopes get lost, and those that were.
        self.loses: Loss = lambda topic, envelope: False
        self.lost: list[Envelope] = []
        self.listener: LossyListener | None = None

    @property
    def bus(self) -> Bus:
        return cast(Bus, FaultyBus(self.inner.bus, self.faults))

    async def open(self, listener: BusListener) -> None:
        self.listener = LossyListener(listener, self)
        await self.inner.open(self.listener)


for _name in dir(Store):
    if not _name.startswith("_") and _name not in vars(FaultyStore):
        setattr(FaultyStore, _name, _passing(_name))


def as_store(store: FaultyStore) -> Store:
    """The store as what it is: the methods were made above, which type checkers cannot follow."""
    return cast(Store, store)
