"""What the process of a service sets for itself, and what an import leaves alone."""

import sys

import pytest

from tests.e2e.processes import run

IMPORT = """
import asyncio, gc, sys
before = gc.get_threshold(), gc.get_freeze_count(), asyncio.get_event_loop_policy()
from chat_service import ChatService
ChatService(port=0)
assert before == (gc.get_threshold(), gc.get_freeze_count(), asyncio.get_event_loop_policy())
assert "uvloop" not in sys.modules
async def main():
    async with ChatService(host="127.0.0.1", port=0):
        assert (gc.get_threshold(), gc.get_freeze_count()) == before[:2]
asyncio.run(main())
print("untouched")
"""

RUN = """
import asyncio, gc, os, signal, sys
if len(sys.argv) > 1:
    # As where it is not installed.
    sys.modules["uvloop"] = None
from chat_service import ChatService
service = ChatService(host="127.0.0.1", port=0)

@service.on("ready")
async def ready():
    while not gc.get_freeze_count():
        await asyncio.sleep(0.01)
    loop = asyncio.get_running_loop()
    print(type(loop).__module__.split(".")[0], gc.get_threshold()[0] > 10_000, flush=True)
    os.kill(os.getpid(), signal.SIGINT)

service.run()
"""


async def test_an_import_and_a_service_inside_of_a_program_set_nothing() -> None:
    async with run(sys.executable, "-W", "error", "-c", IMPORT) as process:
        assert await process.wait() == 0, process.errors
    assert process.output == "untouched\n"


@pytest.mark.covers("api:run")
@pytest.mark.parametrize(("arguments", "loop"), [((), "uvloop"), (("without",), "asyncio")])
async def test_run_takes_the_fastest_loop_and_tunes_the_collector(
    arguments: tuple[str, ...], loop: str
) -> None:
    async with run(sys.executable, "-W", "error", "-c", RUN, *arguments) as process:
        assert await process.wait() == 0, process.errors
    assert process.output == f"{loop} True\n"
