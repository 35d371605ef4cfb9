"""Run scenarios: one with ``--seed``, else random ones for ``--minutes``, with a table of verdicts."""

import argparse
import asyncio
import logging
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from tests.chaos.backends import BACKENDS
from tests.chaos.faults import FAULTS
from tests.chaos.scenario import Outcome, Plan, run
from tests.chaos.table import align, verdicts
from tests.support import reaper
from tests.support.earlier_version import is_there

#: The fault that needs the previous release, and what is told where there is none.
MIXED = "mixed"
WHY_NOT = "no git history to take the previous release from"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this seed once")
    parser.add_argument("--backend", choices=BACKENDS, help="default: redis with --seed, else all")
    parser.add_argument(
        "--faults",
        type=_faults,
        default=(),
        help=f"by commas; default with --minutes: all. {', '.join(FAULTS)}",
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="of random actions in one run")
    parser.add_argument("--pace", type=float, default=0.35, help="mean seconds between actions of a socket")
    parser.add_argument("--minutes", type=float, default=10.0, help="for how long to run random seeds")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def _faults(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no fault {', '.join(unknown)}")
    return names


def random_plan(number: int, names: Sequence[str] = (), backends: Sequence[str] = BACKENDS) -> Plan:
    """The plan of the run ``number``. ``names``: faults to choose from; all when empty.

    With all faults: peace and each single fault in turn on each backend, and mixtures between them.
    With some: each of them in turn on each backend.
    """
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    choices: list[tuple[str, tuple[str, ...]]] = [
        (backend, (name,))
        for name in names or FAULTS
        for backend in FAULTS[name].backends
        if backend in backends
    ]
    if names:
        backend, faults = choices[number % len(choices)]
        return Plan(seed=seed, backend=backend, faults=faults)
    choices += [(backend, ()) for backend in BACKENDS[:2] if backend in backends]
    random.Random(0).shuffle(choices)
    backend, faults = choices[number // 2 % len(choices)]
    if number % 2:
        backend = rng.choice(backends)
        possible = [name for name, fault in FAULTS.items() if backend in fault.backends]
        faults = tuple(rng.sample(possible, min(len(possible), rng.randint(2, 4))))
    return Plan(seed=seed, backend=backend, faults=faults)


def _table(outcomes: list[Outcome], skipped: list[Plan]) -> str:
    rows = [("scenario", "faults", "seed", "commands", "messages", "second judge", "verdict")]
    for outcome in outcomes:
        plan = outcome.plan
        faults = f"{outcome.faults}x {', '.join(plan.faults)}" if plan.faults else "none"
        counts = (str(outcome.commands), str(outcome.messages), str(outcome.second))
        rows.append((plan.backend, faults, str(plan.seed), *counts, str(outcome.verdict)))
    rows += [
        (plan.backend, ", ".join(plan.faults), str(plan.seed), "-", "-", "-", f"skipped: {WHY_NOT}")
        for plan in skipped
    ]
    return align(rows)


async def _one(plan: Plan) -> Outcome:
    print(f"==> {plan.command}", flush=True)
    outcome = await run(plan)
    print(f"    {outcome.verdict}\n    second judge: {outcome.second}", flush=True)
    for violation in outcome.verdict.violations[:10]:
        print(f"    {violation}")
    for kind, what in outcome.second.findings[:10]:
        print(f"    second judge: {kind}: {what}")
    if outcome.folder is not None:
        print(f"    record and logs: {outcome.folder}", flush=True)
    return outcome


async def _main() -> int:
    arguments = _arguments()
    level = logging.INFO if arguments.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(message)s")
    backends = [arguments.backend] if arguments.backend else BACKENDS
    if arguments.faults and not any(set(FAULTS[name].backends) & set(backends) for name in arguments.faults):
        raise SystemExit(f"none of these faults can happen on {arguments.backend}")
    outcomes: list[Outcome] = []
    skipped: list[Plan] = []

    async def go(plan: Plan) -> None:
        if MIXED in plan.faults and not is_there():
            print(f"==> {plan.command}\n    SKIPPED: {WHY_NOT}", flush=True)
            skipped.append(plan)
        else:
            outcomes.append(await _one(plan))

    if arguments.seed is not None:
        await go(
            Plan(
                seed=arguments.seed,
                backend=arguments.backend or "redis",
                faults=arguments.faults,
                seconds=arguments.seconds,
                pace=arguments.pace,
            )
        )
    else:
        end = time.monotonic() + arguments.minutes * 60
        while time.monotonic() < end:
            number = len(outcomes) + len(skipped)
            plan = random_plan(number, arguments.faults, backends)
            await go(replace(plan, seconds=arguments.seconds, pace=arguments.pace))
    print(f"\n{_table(outcomes, skipped)}\n")
    runs = [(outcome.verdict, outcome.second) for outcome in outcomes]
    print(verdicts(runs, sum(outcome.commands for outcome in outcomes)))
    print(f"\n{len(outcomes)} runs, {len(skipped)} skipped")
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


if __name__ == "__main__":
    reaper.watch()
    sys.exit(asyncio.run(_main()))
