"""Measures 1,000 messages over the HTTP API: one by one, several at a time, and in one batch.

    python -m benchmarks.http_publish [--redis redis://localhost:6379/0] [--rounds 5]

Each method sends to one room over one client's kept-alive connections, in the process of the service. The
median of the rounds is printed.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from chat_service import ChatService
from chat_service.testing import InProcessTransport

MESSAGES = 1000
#: Requests at a time.
PARALLEL = 16
TOKEN = "only-for-this-benchmark-0123456789"  # noqa: S105 - of a service that ends with this program
ENTRY: dict[str, Any] = {"message": {"textMessage": "x" * 100}}


class Sender:
    """The methods of sending."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def _post(self, path: str, body: Any) -> Any:
        async with self._session.post(self._base + path, json=body) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def single(self) -> None:
        """One request after the other."""
        for _ in range(MESSAGES):
            await self._post("/rooms/room/messages", ENTRY)

    async def parallel(self) -> None:
        """Several requests at a time."""
        left = iter(range(MESSAGES))

        async def work() -> None:
            for _ in left:
                await self._post("/rooms/room/messages", ENTRY)

        await asyncio.gather(*(work() for _ in range(PARALLEL)))

    async def batch(self) -> None:
        """All in one request."""
        answer = await self._post("/batch", {"messages": [{"room": "room", **ENTRY}] * MESSAGES})
        if answer["failed"]:
            raise RuntimeError(f"{answer['failed']} messages failed")


async def measure(work: Callable[[], Awaitable[None]], rounds: int) -> float:
    """The median time in seconds of a method, over the rounds after a warm-up round."""
    times = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        await work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])


async def main(redis: str | None, rounds: int) -> None:
    """Measure all methods and print the results."""
    store: dict[str, Any] = {} if redis is None else {"store": "redis", "store_options": {"url": redis}}
    tokens = {"bench": {"token": TOKEN, "scopes": ["write"]}}
    service = ChatService(
        transport=InProcessTransport(), operations_port=0, api_options={"tokens": tokens}, **store
    )
    async with service:
        await service.add_room("room", history_max_size=1000, exist_ok=True)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            sender = Sender(session, f"http://127.0.0.1:{service.operations.port}/api")
            ways = {
                "single": sender.single,
                f"single, {PARALLEL} at a time": sender.parallel,
                "batch": sender.batch,
            }
            for name, work in ways.items():
                seconds = await measure(work, rounds)
                print(f"{name:24} {seconds * 1000:8.1f} ms  {MESSAGES / seconds:8.0f} messages/s")
        await service.delete_room("room")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--redis", help="address of Redis; the memory store without it")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, for each way")
    given = parser.parse_args()
    asyncio.run(main(given.redis, given.rounds))
