"""Which worker runs what, and when: test files are handed out whole, the slowest first.

The tests of a file share servers, programs and pages. Each worker has its own Redis, cluster, browser and
web chat for all files that it runs.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

#: What takes longest, in this order. Started last, it would leave the other workers without work.
FIRST: tuple[str, ...] = (
    "tests/browser/",
    "tests/e2e/test_process.py",
    "tests/feature/test_failures.py",
    "tests/conformance/test_stores.py",
    "tests/packaging/test_build.py",
    "tests/packaging/test_webchat.py",
    "tests/e2e/test_life.py",
    "tests/cli/test_processes.py",
    "tests/cli/test_streams.py",
    "tests/feature/test_several_instances.py",
    "tests/redis/test_cluster_failover.py",
    "tests/redis/test_sentinel.py",
    "tests/chaos/test_chaos.py",
    "tests/docs/test_code_blocks.py",
    "tests/feature/test_history.py",
    "tests/e2e/test_bursts.py",
    "tests/http_api/test_openapi.py",
    "tests/js_client/test_js_client.py",
)


def unit_of(nodeid: str) -> str:
    """What is handed out at once: a file."""
    return nodeid.partition("::")[0]


def sort(items: list[pytest.Item]) -> None:
    """Put the tests of ``FIRST`` first. The others keep their order."""
    place = {unit: number for number, unit in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(unit_of(item.nodeid), len(place)))


class ByFile(LoadScopeScheduling):
    """Hands out units in the order of their tests, one when a worker has nearly done its last one."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        # Not those with most tests first.
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
