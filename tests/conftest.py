"""Fixtures that every test can use. Tests never ask which store they run on."""

import asyncio
import gc
import inspect
import os
from collections.abc import AsyncIterator, Generator, Iterator

import hypothesis
import pytest
from xdist.remote import Producer

from tests.support import distribution, measuring, reaper
from tests.support.backends import Backend, InMemory, InRedis
from tests.support.patience import PATIENCE
from tests.support.redis_servers import RedisCluster, RedisServer
from tests.support.world import World

#: The stores that every behaviour is tested on. CHAT_TEST_BACKENDS names some of them, for a quick run.
BACKENDS = os.environ.get("CHAT_TEST_BACKENDS", "memory,redis,cluster").split(",")

METER = pytest.StashKey[measuring.Meter]()

# Tests judge no speed: an example may take its time on a busy machine.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


def pytest_configure(config: pytest.Config) -> None:
    """In the process that runs everything, and in each worker of it."""
    reaper.watch()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Nothing is measured while the tests are collected."""
    meter = session.config.stash[METER] = measuring.Meter(session.config)
    if meter.is_on and session.config.getoption("dist", "no") == "no":  # not the process that hands out tests
        # Of several workers, the first one measures what modules do when they are imported.
        if getattr(session.config, "workerinput", {}).get("workerid", "gw0") == "gw0":
            measuring.import_everything()
        meter.switch(on=False)
    return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    measuring.choose(items)
    if hasattr(config, "workerinput"):
        distribution.sort(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> distribution.ByFile | None:
    return distribution.ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """Modules and collected tests stay to the end. The collector would walk through all of them again and
    again, which takes longer than most tests."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool, bool]:
    """Measures the test, or not, and the processes that it starts, or not."""
    item.config.stash[METER].switch(on=item.stash[measuring.IS_MEASURED])
    with pytest.MonkeyPatch.context() as patch:
        if not item.stash[measuring.ARE_PROCESSES_MEASURED]:
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Logs with unpaired surrogates, which some tests are about, cannot be sent from worker to controller."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> None:
    """Fail a test that leaves tasks behind. Tests that are no coroutines need no loop for that."""
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("no_tasks_left")


@pytest.fixture
async def no_tasks_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while left := asyncio.all_tasks() - before - {asyncio.current_task()}:
        if loop.time() > deadline:
            pytest.fail(f"the test left tasks behind: {left}")
        await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def redis_servers() -> Iterator[RedisServer]:
    """One Redis server for all tests of this process."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def cluster_servers() -> Iterator[RedisCluster]:
    """A Redis Cluster of 3 masters for all tests of this process."""
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """Where the state of the test lives. Fails a test after which something is left without an owner."""
    made: Backend
    if request.param == "memory":
        made = InMemory()
    else:
        made = InRedis(request.getfixturevalue(f"{request.param}_servers"))
    yield made
    assert await made.leftovers() == []


@pytest.fixture
async def world(backend: Backend) -> AsyncIterator[World]:
    """Makes service instances over the backend: ``instance = await world.start(option=...)``."""
    made = World(backend)
    try:
        yield made
    finally:
        await made.close()
