"""Requests to a back end: signed, bounded in time and size, and never redirected."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

import aiohttp

from chat_service.telemetry import WebhookCounters
from chat_service.webhooks.circuit import Circuit
from chat_service.webhooks.signing import headers_for
from chat_service.webhooks.webhook_options import WebhookOptions

logger = logging.getLogger("chat_service")

T = TypeVar("T")

#: Seconds between two log lines about the same.
QUIET: Final = 1.0
#: Characters of an error that a log line repeats.
MAX_REASON: Final = 200
#: Statuses that say to try again later; others below 500 come again.
TRY_AGAIN: Final = frozenset({408, 425, 429})


class BackEndError(Exception):
    """No usable answer. ``outcome``: "timeout", "connection", "status", "answer" or "circuit", for metrics.

    The text is for the log. Clients never see it.
    """

    def __init__(self, outcome: str, detail: str, *, status: int | None = None) -> None:
        super().__init__(detail)
        self.outcome = outcome
        #: The status of the answer, if there was one.
        self.status = status

    @property
    def may_pass(self) -> bool:
        """Whether a repeat may be answered soon."""
        if self.status is not None:
            return self.status >= 500 or self.status in TRY_AGAIN
        return self.outcome == "connection"


class RejectedError(Exception):
    """The back end has answered, and its answer is no. ``error``: for the client."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Quiet:
    """Lets one log line through per ``QUIET`` seconds, and counts the others."""

    def __init__(self) -> None:
        self._until = 0.0
        self._count = 0

    def take(self, count: int = 1) -> int:
        """How many cases the line is about; 0 when there must not be one now."""
        self._count += count
        now = time.monotonic()
        if now < self._until:
            return 0
        self._until = now + QUIET
        told, self._count = self._count, 0
        return told


class BackEnd:
    """Makes the requests of one service. ``max_connections``: others wait, within their time."""

    def __init__(self, options: WebhookOptions, counters: WebhookCounters, max_connections: int) -> None:
        self._secrets = options.known_secrets()
        self._max_answer = options.max_answer_size
        self._counters = counters
        self._max_connections = max_connections
        # True: the certificates of the system.
        self._trust = options.trust() or True
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Be ready for requests. Call it in the event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections, ssl=self._trust),
            # A back end must not tie requests of different users together.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def close(self) -> None:
        """End all connections. Idempotent."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(
        self, hook: str, url: str, request_id: str, body: bytes, *, seconds: float, read: Callable[[bytes], T]
    ) -> T:
        """Send a request, and return what ``read`` makes of the body of its answer, which may be empty.

        Raises ``BackEndError`` without an answer in time, for another status than 2xx, and for an answer that
        is too long; and what ``read`` raises. Each request is counted, unless it is cancelled.
        """
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(seconds) as limit:
                answer = await self._post(url, request_id, body)
            result = read(answer)
        except TimeoutError:
            if not limit.expired():
                raise
            self._counters.requested(hook, "timeout", begun)
            raise BackEndError("timeout", f"no answer within {seconds:.3g} s") from None
        except BackEndError as error:
            self._counters.requested(hook, error.outcome, begun)
            raise
        except RejectedError:
            self._counters.requested(hook, "rejected", begun)
            raise
        self._counters.requested(hook, "ok", begun)
        return result

    async def _post(self, url: str, request_id: str, body: bytes) -> bytes:
        if self._session is None:
            raise BackEndError("connection", "the service is closed")
        headers = headers_for(self._secrets, request_id, int(time.time()), body)
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    raise BackEndError("status", f"status {answer.status}", status=answer.status)
                return await self._read(answer)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise BackEndError("connection", _text_of(error)) from None

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise BackEndError("answer", "a compressed answer, which was not asked for")
        found = bytearray()
        async for chunk in answer.content.iter_any():
            found += chunk
            if len(found) > self._max_answer:
                raise BackEndError("answer", f"an answer of more than {self._max_answer} bytes")
        return bytes(found)


def _text_of(error: Exception) -> str:
    """For the log: one line, bounded, and without the address, whose query may have a secret."""
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())[:MAX_REASON]}"


class Guard:
    """The circuit of one hook, with what is logged and counted of it."""

    def __init__(self, hook: str, options: WebhookOptions, counters: WebhookCounters) -> None:
        self.hook = hook
        self.circuit = Circuit(options.circuit_failures, options.circuit_seconds)
        self._seconds = options.circuit_seconds
        self._counters = counters
        self._quiet = Quiet()
        counters.circuits[hook] = 0

    def admit(self, now: float) -> int:
        """A ticket for a request. Raises ``BackEndError`` when there must not be one now."""
        ticket = self.circuit.admit(now)
        if ticket is None:
            self._counters.requests[self.hook, "circuit"] += 1
            raise BackEndError("circuit", "the circuit is open")
        return ticket

    def succeeded(self, ticket: int) -> None:
        """The back end has answered."""
        if self.circuit.succeeded(ticket):
            self._counters.circuits[self.hook] = 0
            logger.info("webhook %s: the back end answers again", self.hook)

    def failed(self, ticket: int, now: float, error: BackEndError) -> None:
        """The back end has not answered."""
        if self.circuit.failed(ticket, now):
            self._counters.circuits[self.hook] = 1
            logger.error("webhook %s: left alone for %g s after %s", self.hook, self._seconds, error)
        elif count := self._quiet.take():
            logger.warning("webhook %s: %s (%s since the last such line)", self.hook, error, count)
