"""Injected faults: a store whose methods fail as a test requests, and a bus that loses envelopes."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from chat_service.contracts.bus import Bus, BusListener, Envelope, Topic
from chat_service.contracts.store import Store

#: Decides whether an envelope is lost on its way to this instance.
Loss = Callable[[Topic, Envelope], bool]


class Faults:
    """The faults, by the name of a method of the store or bus."""

    def __init__(self) -> None:
        #: The methods that were called, in order.
        self.calls: list[str] = []
        self._errors: dict[str, tuple[BaseException, bool]] = {}
        self._gates: dict[str, asyncio.Event] = {}
        #: Number of calls that wait at a gate.
        self.waiting = 0

    def fail(self, method: str, error: BaseException, *, done: bool = False) -> None:
        """Make a method raise until ``mend``. ``done``: it raises after it has done its work."""
        self._errors[method] = (error, done)

    def mend(self, method: str) -> None:
        """Make a method work again."""
        del self._errors[method]

    def gate(self, method: str) -> asyncio.Event:
        """Make a method wait until the event is set."""
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
    """Passes on all envelopes except lost ones."""

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
        #: Decides which envelopes are lost, and the envelopes that were lost.
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
    """The store with its type: its methods were created above, which type checkers cannot follow."""
    return cast(Store, store)
