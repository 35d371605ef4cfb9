"""Real clients behind one interface: socket.io-client in a Node process, and python-socketio."""

import asyncio
import base64
import itertools
import json
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import socketio

from chat_service.testing import wait_until
from tests.support.patience import PATIENCE as PATIENCE

HERE = Path(__file__).parent
NAMESPACE = "/chat-service"


class Client:
    """A connected client and its events; ``connect``, ``disconnect`` and ``connect_error`` are among them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.events: list[tuple[str, list[Any]]] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} events={self.events!r:.500}>"

    async def emit(self, event: str, *args: Any) -> list[Any]:
        """Emit an event and return the values of its ack."""
        raise AssertionError("not here")

    async def call(self, event: str, *args: Any) -> Any:
        """Emit a command and return the ack's data. Raises ``AssertionError`` when it was an error."""
        error, *data = await self.emit(event, *args)
        assert error is None, f"{event}{args!r:.200} failed: {error!r}"
        return data[0]

    async def error(self, event: str, *args: Any) -> Any:
        """Emit a command and return the ack's error. Raises ``AssertionError`` when it succeeded."""
        ack = await self.emit(event, *args)
        assert ack[0] is not None, f"{event}{args!r:.200} succeeded: {ack!r}"
        return ack[0]

    def received(self, name: str) -> list[list[Any]]:
        """The arguments of every event of a name that came until now."""
        return [args for event, args in self.events if event == name]

    async def wait_for(self, name: str, *args: Any) -> list[Any]:
        """The arguments of the first event of a name, with such leading arguments; it is forgotten then."""
        found: list[Any] = []

        def matches() -> bool:
            for position, (event, values) in enumerate(self.events):
                if event == name and values[: len(args)] == list(args):
                    found.extend(self.events.pop(position)[1])
                    return True
            return False

        await wait_until(matches, f"{name}{args!r} at {self!r}")
        return found

    async def disconnect(self) -> None:
        raise AssertionError("not here")


class Connect(Protocol):
    """Makes a client of one kind; ``options`` are those of socket.io-client."""

    async def __call__(
        self, url: str, name: str, *, transports: Sequence[str], msgpack: bool = False, **options: Any
    ) -> Client: ...


class NodeProcess:
    """A Node process, shared by many tests. Lines come in by a thread and go to the running loop.

    ``script``: the program, which follows ``steered.js``.
    """

    def __init__(self, script: Path = HERE / "driver.js") -> None:
        self._process = subprocess.Popen(
            ["node", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._clients: dict[str, Client] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            loop = self._loop
            if loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(self._take, json.loads(line))

    def _take(self, line: dict[str, Any]) -> None:
        if "client" in line:
            client = self._clients.get(line["client"])
            if client is not None:
                client.events.append((line["event"], from_json(line["args"])))
            return
        answer = self._answers.pop(line["id"], None)
        if answer is not None and not answer.done():
            if "error" in line:
                answer.set_exception(AssertionError(line["error"]))
            else:
                answer.set_result(from_json(line.get("result")))

    async def ask(self, op: str, **fields: Any) -> Any:
        """Run an operation of the driver."""
        assert self._process.stdin is not None
        number = next(self._numbers)
        self._loop = asyncio.get_running_loop()
        answer = self._answers[number] = self._loop.create_future()
        self._process.stdin.write(json.dumps({"id": number, "op": op, **fields}) + "\n")
        self._process.stdin.flush()
        async with asyncio.timeout(PATIENCE):
            return await answer

    async def connect(
        self, url: str, name: str, *, transports: Sequence[str], msgpack: bool = False, **options: Any
    ) -> "NodeClient":
        client = NodeClient(self, f"{name}-{next(self._numbers)}")
        self.watch(client)
        options = {"query": {"userName": name}, "transports": list(transports), **options}
        await self.ask("connect", client=client.name, url=url + NAMESPACE, options=options, msgpack=msgpack)
        return client

    def watch(self, client: Client) -> None:
        """Collect what the process reports about a client."""
        self._clients[client.name] = client

    async def reset(self) -> None:
        """Disconnect and forget all clients."""
        self._clients.clear()
        await self.ask("reset")
        self._answers.clear()
        self._loop = None

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(PATIENCE) == 0
        self._thread.join(PATIENCE)
        self._process.stdout.close()


class NodeClient(Client):
    """A socket of socket.io-client."""

    def __init__(self, node: NodeProcess, name: str) -> None:
        super().__init__(name)
        self._node = node

    async def emit(self, event: str, *args: Any) -> list[Any]:
        ack = await self._node.ask("emit", client=self.name, event=event, args=to_json(args))
        assert isinstance(ack, list)
        return ack

    async def tell(self, event: str, *args: Any) -> None:
        """Emit without an ack."""
        await self._node.ask("tell", client=self.name, event=event, args=to_json(args))

    async def burst(self, *emits: tuple[str, Sequence[Any]]) -> list[list[Any]]:
        """Emit all at once; acks in the order in which they come, as ``[index of the emit, *values]``."""
        acks = await self._node.ask(
            "burst", client=self.name, emits=[[event, to_json(args)] for event, args in emits]
        )
        assert isinstance(acks, list)
        return acks

    async def story(self, *emits: tuple[str, Sequence[Any]]) -> list[list[Any]]:
        """As ``burst``, with events among the acks, as ``[event, *args]``, in the order in which all came."""
        story = await self._node.ask(
            "story", client=self.name, emits=[[event, to_json(args)] for event, args in emits]
        )
        assert isinstance(story, list)
        return story

    async def transport(self) -> str:
        return str(await self._node.ask("transport", client=self.name))

    async def drop(self) -> None:
        await self._node.ask("drop", client=self.name)

    async def reconnect(self) -> None:
        await self._node.ask("reconnect", client=self.name)

    async def disconnect(self) -> None:
        await self._node.ask("disconnect", client=self.name)


class PythonClients:
    """Makes clients of python-socketio, and disconnects them in the end."""

    def __init__(self) -> None:
        self._clients: list[PythonClient] = []

    async def connect(
        self, url: str, name: str, *, transports: Sequence[str], msgpack: bool = False, **options: Any
    ) -> "PythonClient":
        client = PythonClient(name, msgpack)
        self._clients.append(client)
        query = "&".join(f"{key}={value}" for key, value in options.get("query", {"userName": name}).items())
        try:
            await client.sio.connect(
                f"{url}?{query}",
                transports=list(transports),
                namespaces=[NAMESPACE],
                auth=options.get("auth"),
                headers=options.get("headers", {}),
                wait_timeout=PATIENCE,
            )
        except socketio.exceptions.ConnectionError:
            # The client got a connect_error, which tests look for.
            assert client.received("connect_error")
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.disconnect()
            # After an end by the server the library's loops wait for a time-out of their own.
            eio = client.sio.eio
            loops = [task for task in (eio.read_loop_task, eio.write_loop_task) if task is not None]
            for task in loops:
                task.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            if eio.http is not None:
                await eio.http.close()


class PythonClient(Client):
    """A ``socketio.AsyncClient``."""

    def __init__(self, name: str, msgpack: bool) -> None:
        super().__init__(name)
        serializer = "msgpack" if msgpack else "default"
        self.sio = socketio.AsyncClient(reconnection=False, serializer=serializer)
        for event in ("connect", "disconnect", "connect_error"):
            self.sio.on(event, self._taker(event), namespace=NAMESPACE)
        self.sio.on("*", self._take, namespace=NAMESPACE)

    def _taker(self, event: str) -> Any:
        return lambda *args: self._take(event, *args)

    def _take(self, event: str, *args: Any) -> None:
        self.events.append((event, list(args)))

    async def emit(self, event: str, *args: Any) -> list[Any]:
        ack = asyncio.get_running_loop().create_future()
        await self.sio.emit(
            event, tuple(args), namespace=NAMESPACE, callback=lambda *values: ack.set_result(list(values))
        )
        async with asyncio.timeout(PATIENCE):
            values = await ack
        assert isinstance(values, list)
        return values

    async def disconnect(self) -> None:
        await self.sio.disconnect()


class TypedArray(bytes):
    """Sent as a JavaScript typed array, not as a Node ``Buffer``."""


class _Undefined:
    """JavaScript's undefined."""

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = _Undefined()


def to_json(value: Any) -> Any:
    """A value as the programs that follow ``steered.js`` understand it."""
    if value is UNDEFINED:
        return {"$undefined": True}
    if isinstance(value, TypedArray):
        return {"$typed": base64.b64encode(value).decode()}
    if isinstance(value, bytes):
        return {"$binary": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return value


def from_json(value: Any) -> Any:
    """A value as those programs send it."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        if "$binary" in value:
            return base64.b64decode(value["$binary"])
        if "$undefined" in value:
            return UNDEFINED
        return {key: from_json(item) for key, item in value.items()}
    return value
