"""Random operations: each store must behave and publish like the model."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conformance.machine import StoreMachine
from tests.conftest import BACKENDS
from tests.support.backends import Backend, InMemory, InRedis


@pytest.mark.unmeasured  # the suites of the stores have a case for each of their branches
@pytest.mark.timeout(1800)  # shrinking a failure takes time
@pytest.mark.parametrize("name", BACKENDS)
def test_store_behaves_like_the_model(name: str, request: pytest.FixtureRequest) -> None:
    servers = None if name == "memory" else request.getfixturevalue(f"{name}_servers")

    def make_backend() -> Backend:
        return InMemory() if servers is None else InRedis(servers)

    machine = type("Machine", (StoreMachine,), {"make_backend": staticmethod(make_backend)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100 if servers is None else 10,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
