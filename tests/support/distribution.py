"""Which worker runs what, and when: test files are handed out whole, the slowest first.

The tests of a file share servers, programs and pages. Each worker has its own Redis, cluster, browser and
web chat for all files that it runs.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

#: What takes longest, in this order: by its processor time, and by what it waits for. Started last, it would
#: leave the other workers without work.
FIRST: tuple[str, ...] = (
    "tests/docs/test_code_blocks.py",
    "tests/chaos/test_chaos.py",
    "tests/cli/test_processes.py",
    "tests/browser/test_interactions.py",
    "tests/e2e/test_life.py",
    "tests/packaging/test_webchat.py",
    "tests/browser/test_writing.py",
    "tests/browser/test_long_lists.py",
    "tests/cli/test_streams.py",
    "tests/browser/test_finding.py",
    "tests/browser/test_talking.py",
    "tests/e2e/test_process.py",
    "tests/packaging/test_build.py",
    "tests/feature/test_failures.py",
    "tests/conformance/test_stores.py",
    "tests/browser/test_console.py",
    "tests/browser/test_accessibility.py",
    "tests/browser/test_files.py",
    "tests/browser/test_screenshots.py",
    "tests/redis/test_cluster_failover.py",
    "tests/redis/test_sentinel.py",
    "tests/browser/test_connection.py",
    "tests/browser/test_markdown.py",
    "tests/browser/test_settings.py",
    "tests/unit/test_reaper.py",
    "tests/browser/test_profiles.py",
    "tests/e2e/test_bursts.py",
    "tests/browser/test_logins.py",
    "tests/e2e/test_examples.py",
    "tests/browser/test_frameworks.py",
    "tests/examples/test_backends.py",
    "tests/feature/test_several_instances.py",
    "tests/e2e/loops/test_backpressure.py",
    "tests/e2e/test_asgi_servers.py",
    "tests/e2e/test_engineio_protocol.py",
    "tests/browser/test_timeline.py",
    "tests/browser/test_choices.py",
    "tests/feature/test_history.py",
    "tests/js_client/test_js_client.py",
    "tests/http_api/test_openapi.py",
    "tests/security/test_coming_and_going.py",
    "tests/deploy/test_nginx.py",
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
