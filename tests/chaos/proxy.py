"""A TCP proxy that can delay data, cut connections, and go silent."""

import asyncio
import contextlib
import random

CHUNK = 1 << 16


class Proxy:
    """Stands in front of one port of the loopback."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self.port = 0
        #: Seconds by which each chunk is late at most, drawn for each.
        self.delay = 0.0
        self.random = random.Random(0)
        self._passing = asyncio.Event()
        self._passing.set()
        self._links: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: Links whose bytes go nowhere although they stay open.
        self._deaf: set[asyncio.StreamWriter] = set()
        self.refuses = False

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._links[task] = (writer, back)
        try:
            await asyncio.wait(
                [
                    asyncio.create_task(self._pump(reader, back)),
                    asyncio.create_task(self._pump(there, writer)),
                ],
            )
        finally:
            self._links.pop(task, None)
            self._tasks.discard(task)
            self._deaf -= {writer, back}

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                await self._passing.wait()
                if self.delay:
                    await asyncio.sleep(self.random.uniform(0, self.delay))
                if sink in self._deaf:
                    continue
                sink.write(data)
                await sink.drain()
        sink.transport.abort()

    def cut(self) -> None:
        """End every connection with a reset."""
        for writers in list(self._links.values()):
            for writer in writers:
                writer.transport.abort()

    def hold(self) -> None:
        """Keep back everything, on open and on new connections, until ``release``."""
        self._passing.clear()

    def release(self) -> None:
        self._passing.set()

    def deafen(self, share: float, *, answers_only: bool) -> None:
        """Let a share of the open connections lose all their bytes from now on, in both directions or only
        what the server says."""
        for client_side, server_side in self._links.values():
            if self.random.random() < share:
                self._deaf.add(client_side)
                if not answers_only:
                    self._deaf.add(server_side)

    async def stop(self) -> None:
        self.release()
        if self._server is not None:
            self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=5)
