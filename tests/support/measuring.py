"""Which tests are measured by coverage. It doubles the time of everything that runs meanwhile."""

import contextlib
import importlib
import pkgutil
from typing import Any

import pytest

#: Folders whose tests are about programs, pages and whole systems. The code is measured by the others.
UNMEASURED = {"browser", "chaos", "clients", "deploy", "docs", "examples", "js_client", "packaging"}
#: Folders whose tests measure the Redis store. In the others the memory store stands for all.
REDIS_MEASURED = {"cli", "conformance", "redis"}
#: Files whose tests measure the processes that they start, too: what runs only there is the start of
#: programs, signals, workers and forks. In a new process, the meter takes as long as the program to start.
PROCESSES_MEASURED = {
    "cli/test_environment.py",
    "cli/test_processes.py",
    "cli/test_supervisor.py",
    "demo/test_demo.py",
    "e2e/test_asgi_servers.py",
    "e2e/test_life.py",
    "e2e/test_process.py",
    "redis/test_forked.py",
}

IS_MEASURED = pytest.StashKey[bool]()
ARE_PROCESSES_MEASURED = pytest.StashKey[bool]()


def choose(items: list[pytest.Item]) -> None:
    """Note which tests add to what the others measure."""
    for item in items:
        path = item.path.relative_to(item.config.rootpath / "tests")
        folder = path.parts[0]
        parameters = (
            item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        )
        stores = {value for value in parameters.values() if isinstance(value, str)}
        is_repeated = "cluster" in stores or ("redis" in stores and folder not in REDIS_MEASURED)
        item.stash[IS_MEASURED] = not (
            folder in UNMEASURED or is_repeated or item.get_closest_marker("unmeasured")
        )
        item.stash[ARE_PROCESSES_MEASURED] = item.stash[IS_MEASURED] and path.as_posix() in PROCESSES_MEASURED


def import_everything() -> None:
    """While coverage is on, so that it sees what modules do when they are imported."""
    import chat_service

    for module in pkgutil.walk_packages(chat_service.__path__, "chat_service."):
        if not module.name.endswith("__main__"):
            # Some need packages that are not installed everywhere.
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)


class Meter:
    """Switches coverage off and on, if it is in use in this process."""

    def __init__(self, config: pytest.Config) -> None:
        plugin: Any = config.pluginmanager.getplugin("_cov")
        self._controller = getattr(plugin, "cov_controller", None)

    @property
    def is_on(self) -> bool:
        return self._controller is not None and self._controller.started

    def switch(self, *, on: bool) -> None:
        """Does nothing if nothing changes, which is so for most pairs of tests."""
        if self._controller is None or on == self.is_on:
            return
        if on:
            self._controller.resume()
        else:
            self._controller.pause()
