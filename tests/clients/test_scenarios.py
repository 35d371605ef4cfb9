"""One table of scenarios, run with the Python client and with the built JavaScript client."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chat_service.commands.table import COMMANDS
from tests.clients.people import JavaScriptPerson, Person, PythonPerson
from tests.clients.scenarios import CALLS, SCENARIOS, Scenario
from tests.clients.scene import Scene
from tests.e2e.clients import NodeProcess

pytestmark = pytest.mark.e2e

LANGUAGES = ("python", "javascript")


@pytest.fixture(scope="module")
def node_process() -> Iterator[NodeProcess]:
    process = NodeProcess(Path(__file__).parent / "driver.mjs")
    yield process
    process.close()


@pytest.fixture
async def node(node_process: NodeProcess) -> AsyncIterator[NodeProcess]:
    yield node_process
    await node_process.reset()


def cases() -> Iterator[object]:
    """Each scenario in each language; one that names the languages itself runs once."""
    for scenario in SCENARIOS:
        for language in ("both",) if scenario.languages else LANGUAGES:
            yield pytest.param(scenario, language, id=f"{scenario.name}-{language}")


@pytest.mark.parametrize(("scenario", "language"), [*cases()])
async def test_scenario(scenario: Scenario, language: str, node: NodeProcess) -> None:
    def make_person(name: str) -> Person:
        its_language = scenario.languages.get(name, language)
        return PythonPerson() if its_language == "python" else JavaScriptPerson(node, name)

    async with Scene(scenario, make_person) as scene:
        await scene.play()


def test_every_command_is_called() -> None:
    called = {step.args[0] for step in CALLS}
    assert called == set(COMMANDS)
