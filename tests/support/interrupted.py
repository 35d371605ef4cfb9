"""Not collected: tests that tests/unit/test_reaper.py runs and interrupts while their servers are running."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.e2e.clients import NodeProcess
from tests.e2e.processes import run
from tests.support.redis_servers import RedisCluster, RedisServer

#: File in which the test process writes its process id when everything is running.
READY = Path(os.environ.get("CHAT_TEST_READY", "/nonexistent"))

#: Starts a process that is detached from its parent, its session and its process group.
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(3600)
"""
CONFIG = """
[service]
port = 0
[store]
url = "{url}"
[transport]
transports = ["websocket"]
[login]
type = "name"
"""


async def _wait() -> None:
    part = READY.with_suffix(".part")
    part.write_text(str(os.getpid()))
    part.rename(READY)
    await asyncio.sleep(3600)


async def test_servers(redis_servers: RedisServer, cluster_servers: RedisCluster) -> None:
    # Frozen, as in the chaos tests.
    frozen = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
    frozen.send_signal(signal.SIGSTOP)
    subprocess.run([sys.executable, "-c", DAEMON], check=True)
    config = READY.with_suffix(".toml")
    config.write_text(CONFIG.format(url=redis_servers.url))
    command = (sys.executable, "-m", "chat_service", "serve", "--workers", "2", "--config", config)
    async with run(*command) as process:
        await process.wait_for("listens at")
        await _wait()


async def test_proxy(tmp_path: Path) -> None:
    from tests.deploy.site import site

    async with site(tmp_path):
        await _wait()


async def test_browser_and_node() -> None:
    from playwright.async_api import async_playwright

    from tests.browser.conftest import CHROMIUM, FLAGS

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        await browser.new_page()
        NodeProcess()
        await _wait()
