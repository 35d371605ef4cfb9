"""clients/js against a real server: its own tests, run by Node.js."""

import os
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, run
from tests.js_client.server import server_under_test

CLIENT = ROOT / "clients" / "js"

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the tests, translated to JavaScript."""
    return tmp_path_factory.mktemp("js_client")


@pytest.mark.parametrize("name", ["errors", "client", "room"])
async def test_javascript(name: str, bundled: Path) -> None:
    target = bundled / f"{name}.test.mjs"
    options = ("--bundle", "--platform=node", "--format=esm", "--log-level=warning", "--target=node18")
    # socket.io-client brings CommonJS, whose `require` a module does not have.
    banner = (
        "--banner:js=import { createRequire } from 'module'; const require = createRequire(import.meta.url);"
    )
    source = CLIENT / "tests" / f"{name}.test.ts"
    async with run(
        ROOT / "node_modules/.bin/esbuild", source, f"--outfile={target}", *options, banner
    ) as built:
        assert await built.wait() == 0, built.errors
    async with (
        server_under_test() as env,
        run("node", "--test", "--test-reporter=tap", target, env={**os.environ, **env}) as tests,
    ):
        code = await tests.wait()
    assert code == 0, tests.output + tests.errors
