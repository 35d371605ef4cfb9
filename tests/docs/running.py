"""Running the code blocks of one page, in their order."""

import ast
import asyncio
import contextlib
import inspect
import io
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from chat_service import ChatService
from chat_service.cli.assembly import build_service
from chat_service.cli.settings import Settings
from chat_service.testing import wait_until
from tests.docs.blocks import ROOT, Block
from tests.docs.shell import shell_problems
from tests.support.patience import PATIENCE
from tests.support.redis_servers import RedisServer
from tests.support.world import name_by_query

#: Pages of the guide that contain a page of HTML which tests/browser opens.
OPENED = [ROOT / "docs/guide/browser-client.md"]

#: Seconds that one block may take.

#: What JavaScript fragments find there.
PRELUDE = """\
import { io } from "socket.io-client";
const sockets = [];
const connect = (userName) =>
  new Promise((resolve, reject) => {
    const socket = io("http://127.0.0.1:%d/chat-service", { query: { userName }, forceNew: true });
    sockets.push(socket);
    socket.once("loginConfirmed", () => resolve(socket));
    socket.once("loginRejected", reject);
    socket.once("connect_error", reject);
  });
const call = (socket, ...args) =>
  new Promise((resolve, reject) => {
    socket.emit(...args, (error, data) => (error ? reject(error) : resolve(data)));
  });
const alice = await connect("alice");
const bob = await connect("bob");
"""
EPILOGUE = "\nfor (const socket of sockets) socket.disconnect();\n"


class BlockError(AssertionError):
    """A block failed; the text begins with its place."""


class Page:
    """Runs the blocks of a page; ``close`` ends what they have started. Files go to ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "node_modules").symlink_to(ROOT / "node_modules")
        self._names: dict[str, Any] = {}
        self._printed = ""
        #: The texts of blocks that stand for something else here: ports, and the address of Redis.
        self._places: dict[str, str] = {}
        self._servers: list[tuple[Block, asyncio.subprocess.Process]] = []
        self._exit = contextlib.AsyncExitStack()
        self._service: ChatService | None = None

    async def check(self, block: Block) -> None:
        """Check one block by its rule. Raises ``BlockError``."""
        try:
            await self._check(block)
        except Exception as error:
            text = (
                str(error) if isinstance(error, BlockError) else f"{block}: {type(error).__name__}: {error}"
            )
            raise BlockError(text + await self._end_servers()) from error

    async def _check(self, block: Block) -> None:
        match block.how:
            case "parse":
                await self._parse(block)
            case "config":
                path = self._directory / "chat.toml"
                path.write_text(block.text, "utf-8")
                build_service(Settings.read(str(path), {}))
            case "page":
                if not any(block.text in page.read_text("utf-8") for page in OPENED):
                    raise BlockError(f"{block}: no test opens this page")
            case "shell":
                if problems := shell_problems(block.text):
                    raise BlockError(f"{block}: {problems}")
            case "output":
                if block.text.strip() != self._printed.strip():
                    raise BlockError(f"{block}: the block above printed {self._printed!r}")
            case "script":
                self._printed = await self._run(block, sys.executable, self._file(block))
            case "tests":
                self._printed = await self._run_tests(block)
            case "server":
                await self._serve(block)
            case "servers":
                await self._serve_twice(block)
            case "file":
                path = self._directory / block.detail.partition(" ")[2]
                path.write_text(block.text, "utf-8")
                self._printed = await self._run(block, sys.executable, path)
            case "client":
                if not self._servers:
                    await self._serve_example(block)
                program = "node" if block.language == "javascript" else sys.executable
                self._printed = await self._run(block, program, self._file(block))
            case "fragment" if block.language == "javascript":
                port = (await self._running_service()).port
                text = PRELUDE % port + block.text + EPILOGUE
                self._printed = await self._run(block, "node", self._file(block, text))
            case "fragment":
                await self._run_fragment(block)

    async def close(self) -> None:
        """Stop servers. Raises ``BlockError`` when one does not end cleanly."""
        try:
            await self._stop_servers()
        finally:
            await self._exit.aclose()

    def _file(self, block: Block, text: str | None = None) -> Path:
        """The block as a file; what it says about port 8000 goes to the server above it."""
        suffix = "mjs" if block.language == "javascript" else "py"
        path = self._directory / f"test_line_{block.line}.{suffix}"
        text = block.text if text is None else text
        for place, here in self._places.items():
            text = text.replace(place, here)
        path.write_text(text, "utf-8")
        return path

    async def _run(self, block: Block, *command: str | Path) -> str:
        process = await self._start(*command)
        try:
            async with asyncio.timeout(PATIENCE):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            output, _ = await process.communicate()
            raise BlockError(f"{block}: still running after {PATIENCE} s:\n{output.decode()}") from None
        if process.returncode != 0:
            raise BlockError(f"{block}: exit code {process.returncode}:\n{output.decode()}")
        return output.decode()

    async def _start(self, *command: str | Path, **env: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=self._directory,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default", **env},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def _run_tests(self, block: Block) -> str:
        options = ("-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-c", os.devnull)
        rootdir = f"--rootdir={self._directory}"
        return await self._run(block, sys.executable, "-m", "pytest", *options, rootdir, self._file(block))

    async def _parse(self, block: Block) -> None:
        if block.language == "python":
            compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        elif block.language == "javascript":
            await self._run(block, "node", "--check", self._file(block))

    # Servers

    async def _serve(self, block: Block) -> None:
        await self._stop_servers()
        port = self._places["8000"] = str(_free_port())
        if "LineTransport" in block.text:
            self._places["5000"] = str(_free_port())
        await self._await_server(block, await self._start(sys.executable, self._file(block)), port)

    async def _serve_twice(self, block: Block) -> None:
        await self._stop_servers()
        url = self._exit.enter_context(RedisServer()).url
        program = self._file(block)
        for place in ("8000", "8001"):
            port = self._places[place] = str(_free_port())
            process = await self._start(sys.executable, program, PORT=port, REDIS_URL=url)
            await self._await_server(block, process, port)

    async def _serve_example(self, block: Block) -> None:
        port = self._places["8000"] = str(_free_port())
        example = ROOT / "example" / "server.py"
        await self._await_server(block, await self._start(sys.executable, example, PORT=port), port)

    async def _await_server(self, block: Block, process: asyncio.subprocess.Process, port: str) -> None:
        self._servers.append((block, process))

        async def is_there() -> bool:
            if process.returncode is not None:
                output, _ = await process.communicate()
                raise BlockError(f"{block}: the server ended with {process.returncode}:\n{output.decode()}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", int(port))
            except OSError:
                return False
            writer.close()
            await writer.wait_closed()
            return True

        await wait_until(is_there, f"a server at {block}")

    async def _stop_servers(self) -> None:
        """Raises ``BlockError`` when one does not end cleanly."""
        if problems := await self._end_servers(problems_only=True):
            raise BlockError(problems)

    async def _end_servers(self, *, problems_only: bool = False) -> str:
        """End all servers, and return what they have printed."""
        servers, self._servers = self._servers, []
        for _, process in servers:
            if process.returncode is None:
                process.terminate()
        ended = [(block, process, (await process.communicate())[0]) for block, process in servers]
        return "".join(
            f"\n{block}: the server ended with {process.returncode}:\n{output.decode()}"
            for block, process, output in ended
            # Some servers end themselves by the signal again, when they are done with it.
            if not problems_only or process.returncode not in (0, -signal.SIGTERM)
        )

    # Fragments

    async def _running_service(self) -> ChatService:
        """The service of the fragments, with the room ``default`` of the example."""
        if self._service is None:
            self._service = await self._exit.enter_async_context(_service())
            self._names["service"] = self._service
        return self._service

    async def _run_fragment(self, block: Block) -> None:
        await self._running_service()
        code = compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            # What a code object of a fragment with `await` gives is a coroutine.
            result = eval(code, self._names)
            if inspect.isawaitable(result):
                async with asyncio.timeout(PATIENCE):
                    await result
        self._printed = printed.getvalue()


@contextlib.asynccontextmanager
async def _service() -> AsyncIterator[ChatService]:
    options: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "enable_rooms_management": True,
        "enable_direct_messages": True,
        "enable_userlist_updates": True,
    }
    async with ChatService(hooks={"on_connect": name_by_query}, **options) as service:
        await service.add_room("default", owner="admin")
        yield service


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
