"""An interrupted test run leaves no server, browser or worker behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import reaper
from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the reaper needs /proc"),
]


def _wait(what: str, condition: Callable[[], bool], left: Callable[[], object] = lambda: "") -> None:
    """``left``: what is still there, for the message of a failure."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what}: {left()}"
        time.sleep(0.05)


@contextmanager
def another_run(tmp_path: Path, name: str, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a separate test run, and return it with the process that is in the middle of a test."""
    ready = tmp_path / "ready"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:cov", *options]
    log = tmp_path / "log"
    with log.open("wb") as output:
        run = subprocess.Popen(
            [*command, f"tests/support/interrupted.py::{name}"],
            cwd=ROOT,
            env={**os.environ, "CHAT_TEST_READY": str(ready), "CHAT_TEST_BACKENDS": "redis"},
            # Even if this run ignores Ctrl+C, as background jobs of a shell do.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait("the servers", lambda: ready.exists() or run.poll() is not None)
        assert run.poll() is None, log.read_text()
        yield run, int(ready.read_text())
    finally:
        run.kill()
        run.wait()


def _told(pid: int, about: str) -> str:
    """The system's description of a process. Empty if it has ended: some processes are short-lived."""
    try:
        return (reaper.PROC / str(pid) / about).read_text().strip()
    except OSError:
        return ""


def _kinds(processes: set[reaper.Identity]) -> set[str]:
    names = {_told(pid, "comm") for pid, _ in processes}
    # python3.12, chromium-headless-shell
    return {next((kind for kind in ("python", "chromium") if name.startswith(kind)), name) for name in names}


def _is_reaper(pid: int) -> bool:
    return "reaper.py" in _told(pid, "cmdline")


@pytest.mark.parametrize(
    ("name", "options", "who", "number"),
    [
        ("test_servers", [], "run", signal.SIGINT),
        ("test_servers", [], "run", signal.SIGTERM),
        ("test_servers", [], "run", signal.SIGKILL),
        ("test_servers", ["-n", "1"], "run", signal.SIGKILL),
        ("test_servers", ["-n", "1"], "worker", signal.SIGKILL),
        ("test_proxy", [], "run", signal.SIGKILL),
        ("test_browser_and_node", [], "run", signal.SIGKILL),
        ("test_browser_and_node", [], "run", signal.SIGTERM),
    ],
    ids=lambda value: getattr(value, "name", None) or (value if isinstance(value, str) else "".join(value)),
)
def test_interrupted_run_leaves_no_processes(
    tmp_path: Path, name: str, options: list[str], who: str, number: signal.Signals
) -> None:
    expected = {
        "test_servers": {"redis-server", "python"},
        "test_proxy": {"redis-server", "python", "nginx"},
        "test_browser_and_node": {"node", "chromium"},
    }[name]
    with another_run(tmp_path, name, *options) as (run, tester):
        assert (tester == run.pid) is not bool(options)
        # Detached processes are found by their environment.
        started = reaper.descendants(run.pid) | reaper.marked(str(tmp_path))
        # A dead worker is replaced and the run continues.
        spared = {run.pid, tester} if who == "worker" else {run.pid}
        started = {each for each in started if each[0] not in spared and not _is_reaper(each[0])}
        assert expected <= _kinds(started)
        os.kill(run.pid if who == "run" else tester, number)

        def left() -> set[reaper.Identity]:
            return {each for each in started if reaper.identity(each[0]) == each}

        _wait(f"the end of {name}", lambda: not left(), lambda: [_told(pid, "stat") for pid, _ in left()])
