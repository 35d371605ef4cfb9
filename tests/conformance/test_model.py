"""Random sequences of operations: each store must do what the model does, and tell the same."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conformance.machine import StoreMachine
from tests.conftest import BACKENDS
from tests.support.backends import Backend, InMemory, InRedis


@pytest.mark.timeout(1800)  # a failure is made small, which takes its time
@pytest.mark.parametrize("name", BACKENDS)
def test_store_does_what_the_model_does(name: str, request: pytest.FixtureRequest) -> None:
    servers = None if name == "memory" else request.getfixturevalue(f"{name}_servers")

    def make_backend() -> Backend:
        return InMemory() if servers is None else InRedis(servers)

    machine = type("Machine", (StoreMachine,), {"make_backend": staticmethod(make_backend)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=200 if servers is None else 10,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
