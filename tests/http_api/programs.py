"""A client program of the HTTP API, over a real connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from tests.support.patience import PATIENCE
from tests.support.world import Instance, World

#: Tokens by their scopes.
TOKENS = {scope: f"{scope}-" + "0123456789abcdef" * 2 for scope in ("read", "write", "admin")}
OPTIONS: dict[str, Any] = {
    "tokens": {f"for-{scope}": {"token": token, "scopes": [scope]} for scope, token in TOKENS.items()}
}


@dataclass
class Answer:
    """A response. ``data``: the JSON of the body, None without one."""

    status: int
    data: Any
    headers: dict[str, str]


class Program:
    """Sends requests with a token to one base address."""

    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self.base = base
        self.session = session

    async def ask(
        self, method: str, path: str, body: Any = None, *, scope: str | None = "admin", **more: Any
    ) -> Answer:
        """One request with the token of a scope, or without one if None. ``more``: arguments of aiohttp."""
        headers = dict(more.pop("headers", {}))
        if scope is not None:
            headers.setdefault("Authorization", f"Bearer {TOKENS[scope]}")
        if body is not None:
            more["json"] = body
        # The path is percent-encoded already.
        async with self.session.request(
            method, URL(self.base + path, encoded=True), headers=headers, **more
        ) as answer:
            text = await answer.text()
            data = json.loads(text) if answer.content_type == "application/json" and text else None
            return Answer(
                answer.status, data, {name.lower(): value for name, value in answer.headers.items()}
            )

    async def get(self, path: str, **more: Any) -> Any:
        """The data of a successful GET."""
        answer = await self.ask("GET", path, **more)
        assert answer.status == 200, answer
        return answer.data

    async def do(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The data of a successful request."""
        answer = await self.ask(method, path, body, **more)
        assert answer.status in (200, 201, 204), answer
        return answer.data

    @asynccontextmanager
    async def events(self, path: str, **headers: str) -> AsyncIterator["Stream"]:
        """An open stream of events."""
        headers = {"Authorization": f"Bearer {TOKENS['read']}", **headers}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self.session.get(self.base + path, headers=headers, timeout=timeout) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.headers["Content-Type"] == "text/event-stream"
            yield Stream(answer)


@dataclass
class Event:
    """One event of a stream."""

    name: str
    data: Any
    id: str | None


@dataclass
class Stream:
    """Reads events as EventSource does."""

    answer: aiohttp.ClientResponse
    comments: int = 0
    seen: list[Event] = field(default_factory=list)

    async def next(self) -> Event:
        """The next event."""
        async with asyncio.timeout(PATIENCE):
            while True:
                fields: dict[str, str] = {}
                while line := (await self.answer.content.readline()).decode().rstrip("\n"):
                    name, _, value = line.partition(": ")
                    fields[name] = value
                if "data" in fields:
                    event = Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
                    self.seen.append(event)
                    return event
                if not fields:
                    raise EOFError("the stream has ended")
                self.comments += 1

    async def skip_to(self, name: str) -> Event:
        """The next event of a name."""
        while (event := await self.next()).name != name:
            pass
        return event

    async def at_end(self) -> bool:
        """Wait for the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            return not await self.answer.content.read()


async def start(world: World, api: dict[str, Any] | None = None, **options: Any) -> Instance:
    """An instance with the API on a free port."""
    return await world.start(operations_port=0, api_options={**OPTIONS, **(api or {})}, **options)


@asynccontextmanager
async def program(instance: Instance) -> AsyncIterator[Program]:
    """A program for the API of an instance."""
    async with aiohttp.ClientSession() as session:
        yield Program(f"http://127.0.0.1:{instance.service.operations.port}/api", session)
    # The connector closes its sockets in a later turn.
    await asyncio.sleep(0)
