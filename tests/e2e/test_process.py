"""Settings that a service changes in its process, and that an import does not change."""

import re
import signal
import sys
from pathlib import Path

import pytest

from chat_service import __version__
from chat_service.service.runner import http_url, is_loopback
from chat_service.testing import wait_until
from tests.e2e.processes import port_in, run
from tests.e2e.raw import websocket
from tests.support.redis_servers import RedisServer

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

service.run(announce=False)
"""

IN_A_THREAD = """
import asyncio, gc, signal, sys, threading
if sys.argv[1] == "asyncio":
    sys.modules["uvloop"] = None
from chat_service import ChatService
before = gc.get_threshold(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
service = ChatService(port=0)
told, tasks = [], []
service.on("closed", told.append)
if sys.argv[2] == "before":
    service.stop()
elif sys.argv[2] == "close":
    # Not awaited: the close waits for listeners to end.
    service.on("ready", lambda: tasks.append(asyncio.ensure_future(service.close())))
thread = threading.Thread(target=service.run)
thread.start()
if sys.argv[2] == "later":
    sys.stdin.readline()
    service.stop(drain=True)
    service.stop()
thread.join()
service.stop()
assert told == [None]
assert before == (gc.get_threshold(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
print("ended")
"""

NESTED = """
import asyncio
from chat_service import ChatService
from chat_service.demo import main
async def nested():
    for run in (ChatService(port=0).run, main):
        try:
            run()
        except RuntimeError as error:
            print(error)
asyncio.run(nested())
"""

#: As on Windows, whose loops handle no signals.
WITHOUT_SIGNALS = """
import asyncio, sys
sys.modules["uvloop"] = None
def refuse(self, number, callback, *args):
    raise NotImplementedError
asyncio.SelectorEventLoop.add_signal_handler = refuse
from chat_service import ChatService
ChatService(port=0).run()
"""


async def test_importing_or_embedding_the_service_changes_no_global_setting() -> None:
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


@pytest.mark.covers("api:run", "api:stop")
@pytest.mark.parametrize("end", ["later", "before", "close"])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_run_in_a_thread(loop: str, end: str) -> None:
    """Beside a web framework, a bot or a window that has the main thread, and keeps its signals."""
    async with run(sys.executable, "-W", "error", "-c", IN_A_THREAD, loop, end) as process:
        if end == "later":
            line = await process.wait_for("listens at")
            assert line.endswith("stop() stops it")
            async with websocket(port_in(line)):
                pass
            await process.write("now\n")
        assert await process.wait() == 0, process.errors
    assert process.output.endswith("ended\n") and process.errors == ""


@pytest.mark.covers("api:run")
async def test_run_inside_a_running_loop_names_the_alternative() -> None:
    async with run(sys.executable, "-X", "dev", "-W", "error", "-c", NESTED) as process:
        assert await process.wait() == 0, process.errors
    assert [line.count("`await service.start()`") for line in process.output.splitlines()] == [1, 1]
    assert process.errors == ""


@pytest.mark.covers("api:run")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_where_the_loop_handles_none(number: int) -> None:
    async with run(sys.executable, "-X", "dev", "-W", "error", "-c", WITHOUT_SIGNALS) as process:
        await process.wait_for("listens at")
        process.send_signal(number)
        assert await process.wait() == 0
    assert process.errors == ""


@pytest.mark.covers("api:run")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("port=0", "listens at http://127.0.0.1:{port}/, namespace /chat-service, store: memory; {end}"),
        (
            "port=0, host='0.0.0.0', namespace='/t'",
            "listens at http://localhost:{port}/ (every address), {rest}",
        ),
        ("port=0, host=None", "listens at http://localhost:{port}/ (every address), {rest}"),
        (
            "port=0, store='redis', store_options={'url': URL}",
            "{rest} store: Redis at {at}; {end}",
        ),
        ("transport=InProcessTransport()", "is mounted, {rest}"),
    ],
)
async def test_run_prints_the_address_and_how_to_stop(
    options: str, said: str, redis_servers: RedisServer
) -> None:
    code = (
        "from chat_service import ChatService\n"
        "from chat_service.testing import InProcessTransport\n"
        f"URL = 'redis://user:secret@127.0.0.1:{redis_servers.port}'\n"
        f"ChatService({options}).run()"
    )
    with redis_servers.client() as client:
        client.execute_command("ACL", "SETUSER", "user", "on", ">secret", "~*", "&*", "+@all")
    # A limited output must not keep it from serving.
    async with run(sys.executable, "-c", code, env={"PYTHONIOENCODING": "ascii"}) as process:
        line = await process.wait_for("; Ctrl+C stops it")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0, process.errors
    parts = {"end": "Ctrl+C stops it", "at": f"127.0.0.1:{redis_servers.port}"}
    expected = re.escape(f"chat_service {__version__} {said}").replace(r"\{", "{").replace(r"\}", "}")
    escaped = {name: re.escape(value) for name, value in parts.items()}
    assert re.fullmatch(expected.format(**escaped, port=r"\d+", rest=".*"), line), line


def test_urls_of_addresses() -> None:
    assert http_url("::1", 80) == "http://[::1]:80/"
    assert http_url("::", 80) == http_url("0.0.0.0", 80) == http_url("", 80) == "http://localhost:80/"
    local = ["127.0.0.1", "127.8.9.1", "::1", "localhost", "chat.localhost"]
    assert all(map(is_loopback, local))
    assert not any(map(is_loopback, [None, "", "0.0.0.0", "::", "192.0.2.1", "example.org", "localhost.org"]))


@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full"])
async def test_run_with_closed_or_full_outputs(shell: str, tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\n"
        "from chat_service import ChatService\n"
        "service = ChatService(port=0)\n"
        "service.on('ready', lambda: pathlib.Path(sys.argv[1]).write_text(str(service.port)))\n"
        "service.run()"
    )
    path = tmp_path / "port"
    async with run("bash", "-c", f'exec "$@" {shell}', "bash", sys.executable, "-c", code, path) as process:
        await wait_until(lambda: path.exists() and path.read_text() != "", "the service")
        async with websocket(int(path.read_text())):
            pass
        process.send_signal(signal.SIGINT)
        # An output that is full is an error of the interpreter itself, at its end.
        assert await process.wait() in ((0, 120) if "full" in shell else (0,))
