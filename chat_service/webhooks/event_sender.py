"""Sends events to the back end: at least once while the process lives, in order per room or user."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from chat_service.clock import Sparing
from chat_service.concurrency.running import Background
from chat_service.telemetry import WebhookCounters
from chat_service.webhooks.back_end import BackEnd, BackEndError, Guard
from chat_service.webhooks.outbox import Batch, LaneKey, Outbox
from chat_service.webhooks.questions import as_json
from chat_service.webhooks.webhook_options import WebhookOptions

logger = logging.getLogger("chat_service")

#: Statuses with which the back end refuses an event for good. After all others it is sent again.
REFUSALS: Final = frozenset({400, 410, 413, 422})


class EventSender:
    """Receives events as the service's witness, and delivers them in background tasks.

    ``make_id``: makes the ids of events and requests.
    """

    def __init__(
        self,
        options: WebhookOptions,
        back_end: BackEnd,
        guard: Guard,
        counters: WebhookCounters,
        make_id: Callable[[], str],
    ) -> None:
        self._url = options.events_url or ""
        self._kinds = frozenset(options.events)
        self._timeout = options.events_timeout
        self._concurrency = options.events_concurrency
        self._back_end = back_end
        self._guard = guard
        self._counters = counters
        self._make_id = make_id
        self._outbox = Outbox(
            max_events=options.events_queue,
            max_bytes=options.events_queue_bytes,
            max_lane=options.events_room_queue,
            batch_events=options.events_batch,
            batch_bytes=options.events_batch_bytes,
            backoff_first=options.backoff_first,
            backoff_longest=options.backoff_longest,
        )
        counters.waiting = lambda: self._outbox.waiting
        self._dropped, self._refused = Sparing(), Sparing()
        #: Idle workers, the longest waiting first.
        self._idle: deque[asyncio.Future[None]] = deque()
        self._is_closed = False
        #: Set while nothing waits.
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def __repr__(self) -> str:
        return f"<EventSender {self._outbox!r}, {self._guard.circuit!r}>"

    # The witness

    def saw(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Queue an event. Never raises."""
        if kind not in self._kinds:
            return
        try:
            event = as_json(
                {"id": self._make_id(), "kind": kind, "timestamp": time.time_ns() // 1_000_000, **facts}
            )
        except Exception:
            logger.exception("dropped an event of kind %s that cannot be encoded as JSON", kind)
            self._counters.events["dropped"] += 1
            return
        if self._is_closed or not self._outbox.add(_lane_of(facts), event):
            self._drop(1, "the queue is full")
            return
        self._is_empty.clear()
        self._wake_one()

    def _drop(self, count: int, why: str) -> None:
        self._counters.events["dropped"] += count
        if told := self._dropped.count(count):
            logger.error("dropped %s webhook events: %s", told, why)

    # Delivery

    def start(self, background: Background) -> None:
        """Deliver events until the background closes. The background logs, counts and restarts failed
        workers.
        """
        for _ in range(self._concurrency):
            background.keep("webhook events", self._deliver)

    async def drain(self, seconds: float) -> None:
        """Deliver waiting events for at most this many seconds, then drop the rest and all later events."""
        self._outbox.hurry()
        self._wake_all()
        try:
            async with asyncio.timeout(seconds):
                await self._is_empty.wait()
        except TimeoutError:
            self._drop(self._outbox.waiting, f"not delivered within {seconds:g} s of closing")
        self._is_closed = True

    async def _deliver(self) -> None:
        while True:
            batch, ticket = await self._next()
            await self._send(batch, ticket)
            if not self._outbox.waiting:
                self._is_empty.set()

    async def _next(self) -> tuple[Batch, int]:
        """The next batch to deliver, with a ticket of the circuit."""
        now = asyncio.get_running_loop().time
        while True:
            batch = self._outbox.take(now())
            if batch is None:
                due = self._outbox.next_due()
                await self._pause(None if due is None else due - now())
                continue
            ticket = self._guard.circuit.admit(now())
            if ticket is not None:
                if self._outbox.has_more:
                    # Somebody has to look after the others meanwhile.
                    self._wake_one()
                return batch, ticket
            self._outbox.give_back(batch)
            await self._pause(self._guard.circuit.wait(now()))

    async def _send(self, batch: Batch, ticket: int) -> None:
        now = asyncio.get_running_loop().time
        request_id, before = self._make_id(), self._guard.circuit.state
        try:
            await self._back_end.post(
                "events",
                self._url,
                request_id,
                _body(request_id, batch),
                seconds=self._timeout,
                read=lambda answer: None,
            )
        except BackEndError as error:
            if error.status in REFUSALS:
                # It works, but does not want these.
                self._guard.succeeded(ticket)
                self._note_refusal(batch, error)
            else:
                self._outbox.failed(batch, now())
                self._guard.failed(ticket, now(), error)
        except BaseException:
            self._guard.circuit.abandoned(ticket)
            self._outbox.give_back(batch)
            raise
        else:
            self._guard.succeeded(ticket)
            self._counters.events["delivered"] += len(batch.events)
            self._outbox.delivered(batch)
        finally:
            if self._guard.circuit.state is not before:
                # The others wait for another time now.
                self._wake_all()

    def _note_refusal(self, batch: Batch, error: BackEndError) -> None:
        count = self._outbox.refused(batch)
        self._counters.events["refused"] += count
        if count and (told := self._refused.count(count)):
            logger.error("the back end refused %s webhook events for good: %s", told, error)

    # Waiting

    async def _pause(self, seconds: float | None) -> None:
        """Wait for at most this many seconds until there may be something to do."""
        turn = asyncio.get_running_loop().create_future()
        self._idle.append(turn)
        try:
            await asyncio.wait([turn], timeout=seconds)
        finally:
            if not turn.done():
                self._idle.remove(turn)

    def _wake_one(self) -> None:
        if self._idle:
            self._idle.popleft().set_result(None)

    def _wake_all(self) -> None:
        while self._idle:
            self._wake_one()


def _lane_of(facts: Mapping[str, Any]) -> LaneKey:
    """The lane of an event: its room or, without one, its user."""
    if "room" in facts:
        return "room", facts["room"]
    return "user", facts.get("toUser") or facts["user"]


def _body(request_id: str, batch: Batch) -> bytes:
    head = as_json({"id": request_id, "type": "events", "timestamp": time.time_ns() // 1_000_000})
    return head[:-1] + b',"events":[' + b",".join(batch.events) + b"]}"
