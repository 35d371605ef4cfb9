"""Ends the servers, browsers and workers that a test run leaves behind, however the run itself ended.

An interrupted run ends its servers itself, unless it is killed or interrupted again. So each process that
runs tests has a reaper: a process in its own session that remembers all descendants, and kills the remaining
ones when the test process is gone. It requires /proc, and does nothing without it.
"""

import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

#: Environment variable of all descendants, by which the reaper finds those that it has not seen yet.
VARIABLE = "CHAT_TEST_RUN"
#: Seconds between two searches, and how long to search for leftovers: a search is slow on a busy machine.
PAUSE, PATIENCE = 0.1, 60.0
PROC = Path("/proc")

#: The unique id of a process: its number and start time.
Identity = tuple[int, int]


def watch() -> None:
    """Start the reaper of this process."""
    if not (PROC / "self/stat").exists():
        return
    mark = uuid.uuid4().hex
    outer = os.environ.get(VARIABLE, "")
    # The outer run must also end a run inside it.
    os.environ[VARIABLE] = f"{outer},{mark}"
    # Without installed packages, which may measure coverage.
    command = [sys.executable, "-I", "-S", __file__, str(os.getpid()), mark]
    null = os.open(os.devnull, os.O_RDWR)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, null, number) for number in range(3)]
        os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
    finally:
        os.close(null)


def identity(pid: int) -> Identity | None:
    """None for a process that has ended, whether or not it was waited for."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (pid, int(fields[19]))


def children(pid: int) -> Iterator[int]:
    """The running children of a process."""
    try:
        for task in (PROC / str(pid) / "task").iterdir():
            yield from map(int, (task / "children").read_text().split())
    except OSError:
        return


def descendants(pid: int) -> set[Identity]:
    """The descendants of a process, except this process."""
    found: set[Identity] = set()
    for child in children(pid):
        known = identity(child)
        if known is not None and child != os.getpid():
            found |= {known} | descendants(child)
    return found


def marked(mark: str) -> set[Identity]:
    """The processes whose environment has a mark. Servers that set their own title lose it."""
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


class Watched:
    """The descendants of a process, updated as they come and go. Only new processes are read."""

    def __init__(self, pid: int) -> None:
        self._root = pid
        self._group = os.getpgid(pid)
        #: All processes of the last search.
        self._present: set[int] = set()
        self._known: dict[int, Identity] = {}

    def look(self) -> None:
        """Add new descendants, and remove those that are gone."""
        present = {int(name) for name in os.listdir(PROC) if name.isdecimal()}
        new = {pid: parent for pid in present - self._present if (parent := parent_of(pid))}
        self._known = {pid: known for pid, known in self._known.items() if pid in present}
        self._present = present
        while found := [pid for pid, parent in new.items() if parent == self._root or parent in self._known]:
            for pid in found:
                del new[pid]
                known = identity(pid)
                if known is not None and pid != os.getpid():
                    self._known[pid] = known

    def orphans(self) -> set[Identity]:
        """The processes that have lost their parent and are as new as that: too new for the last search.

        They are of the process group of the watched process, and their parent is not. Servers that set their
        own title, such as nginx, cannot be found in another way.
        """
        found = set()
        for pid in {int(name) for name in os.listdir(PROC) if name.isdecimal()} - self._present:
            if group_of(pid) == self._group != group_of(parent_of(pid)):
                known = identity(pid)
                if known is not None:
                    found.add(known)
        return found

    def known(self) -> set[Identity]:
        """The descendants that are still running."""
        return {each for each in self._known.values() if identity(each[0]) == each}


def parent_of(pid: int) -> int:
    """0 for a process that is gone."""
    try:
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def group_of(pid: int) -> int:
    """The process group. 0 for a process that is gone."""
    try:
        return os.getpgid(pid) if pid else 0
    except OSError:
        return 0


def signal_all(processes: set[Identity], number: signal.Signals) -> None:
    """Send a signal to the descendants that are still running."""
    for each in processes:
        if identity(each[0]) == each:
            try:
                os.kill(each[0], number)
            except OSError:
                continue


def reap(parent: int, mark: str) -> None:
    """Track the descendants of a process until it is gone, then kill the remaining ones."""
    watched = Watched(parent)
    while os.getppid() == parent:
        watched.look()
        time.sleep(PAUSE)
    left = watched.known() | watched.orphans()
    deadline = time.monotonic() + PATIENCE
    quiet = 0
    # Twice, because a process may have just started another one that has no mark yet.
    while quiet < 2 and time.monotonic() < deadline:
        found = left | marked(mark)
        # Stopped first: a process that is killed while it forks would leave an untraceable child.
        stopped: set[Identity] = set()
        while new := found - stopped:
            signal_all(new, signal.SIGSTOP)
            stopped |= new
            for pid, _ in new:
                found |= descendants(pid)
        signal_all(found, signal.SIGKILL)
        left = {each for each in found if identity(each[0]) == each}
        quiet = 0 if found else quiet + 1
        time.sleep(PAUSE / 2)


if __name__ == "__main__":
    reap(int(sys.argv[1]), sys.argv[2])
