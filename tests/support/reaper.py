"""Ends what a test run leaves behind: servers, browsers and workers, however the run itself ended.

A run that is interrupted ends its servers by itself, unless it is killed, or interrupted once more. So each
process that runs tests has a reaper: a process in its own session that remembers all descendants, and kills
those that are left when the test process is gone. It needs /proc, and does nothing where there is none.
"""

import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

#: Marks the environment of all descendants: those that the reaper has not seen yet are found by it.
VARIABLE = "CHAT_TEST_RUN"
#: Seconds between two looks, and how long to look for what is left.
PAUSE, PATIENCE = 0.1, 10.0
PROC = Path("/proc")

#: The id of a process that no other one gets: its number and when it started.
Identity = tuple[int, int]


def watch() -> None:
    """Start the reaper of this process."""
    if not (PROC / "self/stat").exists():
        return
    mark = uuid.uuid4().hex
    outer = os.environ.get(VARIABLE, "")
    # A run inside a run is also the outer one's to end.
    os.environ[VARIABLE] = f"{outer},{mark}"
    # Without the packages of the environment, which may measure what runs.
    command = [sys.executable, "-I", "-S", __file__, str(os.getpid()), mark]
    null = os.open(os.devnull, os.O_RDWR)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, null, number) for number in range(3)]
        os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
    finally:
        os.close(null)


def identity(pid: int) -> Identity | None:
    """None for a process that is gone, or ended and not waited for."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (pid, int(fields[19]))


def children(pid: int) -> Iterator[int]:
    """The processes that a process has started, and that it has not outlived."""
    try:
        for task in (PROC / str(pid) / "task").iterdir():
            yield from map(int, (task / "children").read_text().split())
    except OSError:
        return


def descendants(pid: int) -> set[Identity]:
    """The processes below one, but for this one."""
    found: set[Identity] = set()
    for child in children(pid):
        known = identity(child)
        if known is not None and child != os.getpid():
            found |= {known} | descendants(child)
    return found


def marked(mark: str) -> set[Identity]:
    """The processes whose environment has a mark. Servers that write a title of their own lose it."""
    found = set()
    for folder in PROC.iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            try:
                is_ours = mark.encode() in (folder / "environ").read_bytes()
            except OSError:
                continue
            known = identity(int(folder.name)) if is_ours else None
            if known is not None:
                found.add(known)
    return found


def reap(parent: int, mark: str) -> None:
    """Remember the descendants of a process until it is gone, then kill those that are left."""
    known: set[Identity] = set()
    while os.getppid() == parent:
        known = {each for each in known | descendants(parent) if identity(each[0]) == each}
        time.sleep(PAUSE)
    deadline = time.monotonic() + PATIENCE
    quiet = 0
    # Twice, since what is killed may have been starting something.
    while quiet < 2 and time.monotonic() < deadline:
        left = {each for each in known | marked(mark) if identity(each[0]) == each}
        for each in set(left):
            left |= descendants(each[0])
        quiet = 0 if left else quiet + 1
        known |= left
        for pid, _ in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(PAUSE / 2)


if __name__ == "__main__":
    reap(int(sys.argv[1]), sys.argv[2])
