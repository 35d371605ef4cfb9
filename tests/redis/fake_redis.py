"""A server that pretends to be a Redis of some version."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import hiredis


@asynccontextmanager
async def fake_redis(info: str) -> AsyncIterator[str]:
    """Replies to ``INFO`` with this text and to everything else with ``OK``. Yields the url."""
    writers = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers[writer] = asyncio.current_task()
        parser = hiredis.Reader()
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                parser.feed(data)
                while (command := parser.gets()) is not False:
                    is_info = command[0].upper() == b"INFO"
                    writer.write(f"${len(info)}\r\n{info}\r\n".encode() if is_info else b"+OK\r\n")
        writer.transport.abort()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0"
    finally:
        listener.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*filter(None, writers.values()))
