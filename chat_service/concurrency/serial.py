"""Locks by key, first come first served."""

import asyncio
from collections import deque
from collections.abc import Hashable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Optional

#: How many holders hold a key together at most, if they agree.
PARTY_SIZE = 16
#: Maximum number of keys whose holders are remembered to come in parties.
REMEMBERED = 10_000

#: The holds around the current code.
_held: ContextVar[tuple["Hold", ...]] = ContextVar("chat_service_holds", default=())


class DeadlockError(RuntimeError):
    """Waiting for the key would never end, because its holder waits for one that the caller holds."""


class Party:
    """Holders who hold the same key together, because they have come one right behind the other.

    They run in the order of their arrival, each as far as its first ``await``, before anything else runs.
    """

    __slots__ = ("is_open", "members", "shared", "size")

    def __init__(self, size: int, *, is_open: bool = False) -> None:
        self.size = size
        #: How many have not left.
        self.members = size
        #: Whether others may still join.
        self.is_open = is_open
        #: Whatever the members share.
        self.shared: Any = None


#: A waiting holder: the future that tells it to enter, the hold, and whether it would enter with others.
Waiter = tuple["asyncio.Future[Party | None]", Optional["Hold"], bool]


class Place:
    """A held key for which others wait, or which is held together."""

    __slots__ = ("excused", "holder", "party", "waiting")

    def __init__(self, holder: Optional["Hold"]) -> None:
        #: The holder; None for a party, whose members wait for no other key.
        self.holder = holder
        self.party: Party | None = None
        self.waiting: deque[Waiter] | None = None
        #: Seconds of the holds so far that are excused, such as time in hooks.
        self.excused = 0.0


class SerialQueue:
    """Permits one holder per key. Others wait in the order of arrival.

    A hold inside a hold of the same key enters immediately, so a hook may run a command on the room of its
    own command. If nested holds of several keys would wait for each other, the last one raises
    ``DeadlockError``.
    """

    def __init__(self) -> None:
        # A key that one holder has to itself needs no place.
        self._places: dict[Hashable, Hold | Place] = {}
        #: Keys whose last holders came in a party, so that the next one may expect others.
        self.sociable: set[Hashable] = set()

    def __len__(self) -> int:
        return len(self._places)

    def hold(self, key: Hashable) -> "Hold":
        """An async context manager that holds the key, waiting until it is free. Raises ``DeadlockError``."""
        return Hold(self, key)

    async def acquire(
        self, key: Hashable, holder: "Hold | None" = None, *, is_sociable: bool = False
    ) -> tuple[float, Party | None]:
        """Returns the excused seconds of the wait, and the party with which the key is held.

        ``is_sociable``: the holder would enter together with those before and behind it who say the same. It
        must not wait for another key inside.
        """
        place = self._places.get(key)
        if place is None:
            self._places[key] = Place(holder)
            return 0.0, None
        if isinstance(place, Hold):
            place = self._places[key] = Place(place)
        party = place.party
        # Nobody joins past others who wait already.
        is_next = is_sociable and not place.waiting
        if is_next and party is not None and party.is_open and party.size < PARTY_SIZE:
            party.size += 1
            party.members += 1
            return 0.0, party
        excused = place.excused
        outer = [hold for hold in _held.get() if hold.is_active]
        if any(self._leads_to(key, hold) for hold in outer):
            raise DeadlockError(f"{key} is held by a task that waits for {[hold.key for hold in outer]}")
        turn: asyncio.Future[Party | None] = asyncio.get_running_loop().create_future()
        if place.waiting is None:
            place.waiting = deque()
        place.waiting.append((turn, holder, is_sociable))
        for hold in outer:
            hold.waits_for += (key,)
        try:
            party = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(key)
            raise
        finally:
            for hold in outer:
                at = hold.waits_for.index(key)
                hold.waits_for = hold.waits_for[:at] + hold.waits_for[at + 1 :]
        return place.excused - excused, party

    def _leads_to(self, key: Hashable, goal: "Hold") -> bool:
        """Whether the holder of a key is a hold, or waits for it directly or indirectly."""
        seen: set[Hashable] = set()
        keys = [key]
        while keys:
            place = self._places.get(keys.pop())
            holder = place.holder if isinstance(place, Place) else place
            if holder is goal:
                return True
            if holder is not None and holder.key not in seen:
                seen.add(holder.key)
                keys.extend(holder.waits_for)
        return False

    def release(self, key: Hashable, excused: float = 0.0) -> None:
        place = self._places[key]
        if isinstance(place, Hold):
            del self._places[key]
            return
        place.excused += excused
        if place.party is not None:
            place.party.members -= 1
            if place.party.members:
                return
            self._remember(key, place.party)
            place.party = None
        if place.waiting and self._admit(place, place.waiting):
            return
        del self._places[key]

    def open_party(self, key: Hashable) -> Party:
        """Let others join the only holder of a key, until the party is closed. See ``acquire``."""
        place = self._places[key] = Place(None)
        place.party = party = Party(1, is_open=True)
        return party

    def _remember(self, key: Hashable, party: Party) -> None:
        if party.size == 1:
            self.sociable.discard(key)
            return
        if len(self.sociable) >= REMEMBERED:
            self.sociable.clear()
        self.sociable.add(key)

    def _admit(self, place: Place, waiting: deque[Waiter]) -> bool:
        """Let the next waiter enter, with those behind it who would enter together. False if nobody waits."""
        entering: list[Waiter] = []
        while waiting and len(entering) < PARTY_SIZE:
            # Cancelled waiters are done.
            if not waiting[0][0].done():
                if entering and not (entering[0][2] and waiting[0][2]):
                    break
                entering.append(waiting[0])
            waiting.popleft()
        if len(entering) > 1:
            place.holder, place.party = None, Party(len(entering))
        elif entering:
            place.holder = entering[0][1]
        for turn, _, _ in entering:
            turn.set_result(place.party)
        return bool(entering)


class Hold:
    """A hold of a key in a ``SerialQueue``."""

    __slots__ = ("_queue", "_token", "is_active", "key", "waits_for")

    def __init__(self, queue: SerialQueue, key: Hashable) -> None:
        self._queue = queue
        self.key = key
        #: False before and after the hold, also for tasks that outlive it.
        self.is_active = False
        #: Keys that work inside this hold is waiting for.
        self.waits_for: tuple[Hashable, ...] = ()
        self._token: Token[tuple[Hold, ...]]

    def enter_at_once(self) -> bool:
        """Enter if the key is free or held by an enclosing hold. Otherwise use ``enter``."""
        held = _held.get()
        if held and self._is_inside(held):
            return True
        places = self._queue._places
        if self.key in places:
            return False
        places[self.key] = self
        self.is_active = True
        self._token = _held.set((*held, self))
        return True

    async def enter(self, *, is_sociable: bool = False) -> tuple[float, Party | None]:
        """Wait until the key is free and enter. Raises ``DeadlockError``.

        ``is_sociable`` and what it returns: see ``SerialQueue.acquire``.
        """
        held = _held.get()
        if self._is_inside(held):
            return 0.0, None
        found = await self._queue.acquire(self.key, self, is_sociable=is_sociable)
        self.is_active = True
        self._token = _held.set((*held, self))
        return found

    def leave(self, excused: float = 0.0) -> None:
        """Release the key to the next waiter. ``excused``: seconds to blame on others, such as hooks."""
        if self.is_active:
            self.is_active = False
            _held.reset(self._token)
            places = self._queue._places
            if places[self.key] is self:
                del places[self.key]
            else:
                self._queue.release(self.key, excused)

    def _is_inside(self, held: tuple["Hold", ...]) -> bool:
        for hold in held:  # noqa: SIM110 - a generator costs as much as the rest
            if hold.is_active and hold.key == self.key and hold._queue is self._queue:
                return True
        return False

    async def __aenter__(self) -> None:
        if not self.enter_at_once():
            await self.enter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
