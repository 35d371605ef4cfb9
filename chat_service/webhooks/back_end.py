"""Requests to a back end: signed, bounded in time and size, and never redirected."""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import aiohttp

from chat_service.clock import Sparing
from chat_service.telemetry import WebhookCounters
from chat_service.webhooks.circuit import Circuit
from chat_service.webhooks.webhook_options import WebhookOptions

logger = logging.getLogger("chat_service")

#: Headers of a request: its id, the same for repeats; the time in seconds of Unix time; the signatures.
ID_HEADER: Final = "Chat-Webhook-Id"
TIME_HEADER: Final = "Chat-Webhook-Timestamp"
SIGNATURE_HEADER: Final = "Chat-Webhook-Signature"


def sign(secrets: Mapping[str, bytes], timestamp: int, body: bytes) -> str:
    """The signatures of a body, one for each secret: ``id=hex``, separated by commas.

    The signed text is the timestamp in decimal digits, a dot, and the body.
    """
    signed = str(timestamp).encode() + b"." + body
    made = (
        f"{key_id}={hmac.digest(secret, signed, hashlib.sha256).hex()}" for key_id, secret in secrets.items()
    )
    return ", ".join(made)


def headers_for(secrets: Mapping[str, bytes], request_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of one request. ``timestamp``: seconds of Unix time."""
    return {
        "Content-Type": "application/json",
        # A compressed answer could grow to any size.
        "Accept-Encoding": "identity",
        ID_HEADER: request_id,
        TIME_HEADER: str(timestamp),
        SIGNATURE_HEADER: sign(secrets, timestamp, body),
    }


T = TypeVar("T")

#: Maximum number of characters of an error in a log line.
MAX_REASON: Final = 200
#: Statuses below 500 that ask the caller to try again later. Other statuses below 500 would not change.
TRY_AGAIN: Final = frozenset({408, 425, 429})


class BackEndError(Exception):
    """There is no usable answer. ``outcome``: "timeout", "connection", "status", "answer" or "circuit".

    The outcome is for metrics, and the text is for the log. Clients see neither.
    """

    def __init__(self, outcome: str, detail: str, *, status: int | None = None) -> None:
        super().__init__(detail)
        self.outcome = outcome
        #: The status of the answer, if there was one.
        self.status = status

    @property
    def may_pass(self) -> bool:
        """Whether repeating the request may succeed."""
        if self.status is not None:
            return self.status >= 500 or self.status in TRY_AGAIN
        return self.outcome == "connection"


class RejectedError(Exception):
    """The back end has rejected the request. ``error``: the error for the client."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class BackEnd:
    """Makes the requests of one service. Requests beyond ``max_connections`` wait, within their timeout."""

    def __init__(self, options: WebhookOptions, counters: WebhookCounters, max_connections: int) -> None:
        self._secrets = options.known_secrets()
        self._max_answer = options.max_answer_size
        self._counters = counters
        self._max_connections = max_connections
        # True means the system's certificates.
        self._trust = options.trust() or True
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Prepare for requests. Must be called inside the event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections, ssl=self._trust),
            # Cookies would connect the requests of different users.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(
        self, hook: str, url: str, request_id: str, body: bytes, *, seconds: float, read: Callable[[bytes], T]
    ) -> T:
        """Send a request, and return the result of ``read`` for the answer's body, which may be empty.

        Raises ``BackEndError`` if no answer arrives in time, if the status is not 2xx, or if the answer is
        too long. Errors of ``read`` are passed on. Each request is counted, unless it is cancelled.
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
            raise BackEndError("answer", "the answer is compressed, although the request did not allow it")
        found = bytearray()
        async for chunk in answer.content.iter_any():
            found += chunk
            if len(found) > self._max_answer:
                raise BackEndError("answer", f"the answer is longer than {self._max_answer} bytes")
        return bytes(found)


def _text_of(error: Exception) -> str:
    """The error as one short line for the log, without the address: its query may contain a secret."""
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())[:MAX_REASON]}"


class Guard:
    """The circuit of one hook, including its log lines and counters."""

    def __init__(self, hook: str, options: WebhookOptions, counters: WebhookCounters) -> None:
        self.hook = hook
        self.circuit = Circuit(options.circuit_failures, options.circuit_seconds)
        self._seconds = options.circuit_seconds
        self._counters = counters
        self._log = Sparing()
        counters.circuits[hook] = 0

    def admit(self, now: float) -> int:
        """A ticket for a request. Raises ``BackEndError`` while the circuit is open."""
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
            logger.error(
                "webhook %s: sending no requests for %g s after this failure: %s",
                self.hook,
                self._seconds,
                error,
            )
        elif count := self._log.count():
            logger.warning("webhook %s: %s (%s since the last such line)", self.hook, error, count)
