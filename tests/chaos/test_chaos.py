"""Short runs with fixed seeds: in peace, and with some of the faults. ``make chaos`` runs all, for long."""

from dataclasses import replace

import pytest

from tests.chaos.__main__ import random_plan
from tests.chaos.faults import FAULTS
from tests.chaos.history_judge import Property
from tests.chaos.scenario import Plan, run
from tests.support.earlier_version import is_there

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.redis, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("backend", "faults"),
    [
        ("redis", ()),
        ("cluster", ()),
        ("redis", ("kill", "scripts", "pause")),
        ("redis", ("rotate", "restart", "cut", "subscribers")),
        ("redis", ("silence", "roll")),
        ("redis", ("mixed",)),
        ("redis", ("memory", "skew", "overflow", "flush")),
        ("cluster", ("slots", "clients", "snapshots", "sleep")),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value) or "peace",
)
async def test_a_run_passes(backend: str, faults: tuple[str, ...]):
    plan = Plan(seed=20, backend=backend, faults=faults, seconds=4.0, commands=250)
    if "mixed" in faults:
        if not is_there():
            pytest.skip("no git history to take the previous release from")
        plan = replace(plan, instances=2, users=8, seconds=1.0)
    outcome = await run(plan)
    found = [*map(str, outcome.verdict.violations[:20]), *map(str, outcome.second.findings[:20])]
    text = "\n".join([plan.command, str(outcome.verdict), str(outcome.second), *found])
    assert outcome.is_good, text
    # What a run hardly ever lacks was judged.
    for kind in (Property.EXACTLY_ONCE, Property.NO_LOSS, Property.CURSOR, Property.PRESENCE):
        assert outcome.second.examined[kind] > 0, kind
    if "rotate" in faults:
        assert outcome.second.examined[Property.GAPS] > 0, "nobody was told of a gap"
    assert outcome.commands > 200, "hardly anything was done"


def test_random_plans_have_the_faults_that_were_chosen():
    backends = FAULTS["evict"].backends + FAULTS["slots"].backends
    plans = [random_plan(number, ("evict", "slots")) for number in range(len(backends))]
    assert [plan.backend for plan in plans] == list(backends)
    assert [plan.faults for plan in plans] == [("evict",), *[("slots",)] * (len(backends) - 1)]
    everything = [random_plan(number) for number in range(400)]
    assert {plan.faults for plan in everything} > {(name,) for name in FAULTS}
    assert any(len(plan.faults) > 1 for plan in everything)
    for plan in everything:
        assert all(plan.backend in FAULTS[name].backends for name in plan.faults)


def test_every_fault_says_where_it_can_happen():
    assert all(fault.backends for fault in FAULTS.values())
    assert all(fault.run.__doc__ for fault in FAULTS.values())
