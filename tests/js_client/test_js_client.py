"""clients/js against a real server: its own tests, run by Node.js."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT
from tests.js_client.server import server_under_test
from tests.support.patience import PATIENCE

CLIENT = ROOT / "clients" / "js"

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the tests, translated to JavaScript."""
    return tmp_path_factory.mktemp("js_client")


@pytest.mark.parametrize(
    "name",
    [
        "errors",
        "slots",
        "client",
        "login",
        "room",
        "outbox",
        "older",
        "interactions",
        "uploads",
        "conversations",
    ],
)
async def test_javascript(name: str, bundled: Path) -> None:
    target = bundled / f"{name}.test.mjs"
    options = ("--bundle", "--platform=node", "--format=esm", "--log-level=warning", "--target=node18")
    # socket.io-client brings CommonJS, whose `require` a module does not have.
    banner = (
        "--banner:js=import { createRequire } from 'module'; const require = createRequire(import.meta.url);"
    )
    source = CLIENT / "tests" / f"{name}.test.ts"
    await run(ROOT / "node_modules/.bin/esbuild", source, f"--outfile={target}", *options, banner)
    async with server_under_test() as env:
        await run("node", "--test", "--test-reporter=tap", target, env=env)


async def run(*command: str | Path, env: Mapping[str, str] | None = None) -> None:
    """Run a program to its end. Raises ``AssertionError``, with what it has printed, when it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **(env or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(3 * PATIENCE):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
