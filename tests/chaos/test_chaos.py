"""Short runs with fixed seeds: in peace, and with some of the faults. ``make chaos`` runs all, for long."""

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.scenario import Plan, run

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.redis, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("backend", "faults"),
    [
        ("redis", ()),
        ("cluster", ()),
        ("redis", ("kill", "scripts", "pause")),
        ("redis", ("restart", "cut", "subscribers")),
        ("redis", ("silence", "roll")),
        ("redis", ("memory", "skew", "overflow", "flush")),
        ("cluster", ("slots", "clients", "snapshots", "sleep")),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value) or "peace",
)
async def test_a_run_is_good(backend: str, faults: tuple[str, ...]):
    plan = Plan(seed=20, backend=backend, faults=faults, seconds=4.0, commands=250)
    outcome = await run(plan)
    text = "\n".join([plan.command, str(outcome.verdict), *map(str, outcome.verdict.violations[:20])])
    assert outcome.verdict.is_good, text
    assert outcome.commands > 200, "hardly anything was done"


def test_every_fault_says_where_it_can_happen():
    assert all(fault.backends for fault in FAULTS.values())
    assert all(fault.run.__doc__ for fault in FAULTS.values())
