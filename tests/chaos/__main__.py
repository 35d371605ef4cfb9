"""Run scenarios: one with ``--seed``, else random ones for ``--minutes``, with a table of verdicts."""

import argparse
import asyncio
import logging
import random
import sys
import time

from tests.chaos.backends import BACKENDS
from tests.chaos.faults import FAULTS
from tests.chaos.scenario import Outcome, Plan, run
from tests.support import reaper


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this seed once")
    parser.add_argument("--backend", choices=BACKENDS, help="with --seed; default: redis")
    parser.add_argument("--faults", default="", help=f"with --seed, by commas: {', '.join(FAULTS)}")
    parser.add_argument("--seconds", type=float, default=15.0, help="of random actions in one run")
    parser.add_argument("--pace", type=float, default=0.35, help="mean seconds between actions of a socket")
    parser.add_argument("--minutes", type=float, default=10.0, help="for how long to run random seeds")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def _random_plan(number: int, seconds: float, pace: float) -> Plan:
    """Peace and each single fault in turn on each backend, and mixtures."""
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    choices: list[tuple[str, tuple[str, ...]]]
    choices = [(backend, (name,)) for name, fault in FAULTS.items() for backend in fault.backends]
    choices += [(backend, ()) for backend in BACKENDS[:2]]
    random.Random(0).shuffle(choices)
    backend, faults = choices[number // 2 % len(choices)]
    if number % 2:
        backend = rng.choice(BACKENDS)
        possible = [name for name, fault in FAULTS.items() if backend in fault.backends]
        faults = tuple(rng.sample(possible, min(len(possible), rng.randint(2, 4))))
    return Plan(seed=seed, backend=backend, faults=faults, seconds=seconds, pace=pace)


def _table(outcomes: list[Outcome]) -> str:
    rows = [("scenario", "faults", "seed", "commands", "messages", "verdict")]
    for outcome in outcomes:
        plan = outcome.plan
        faults = f"{outcome.faults}x {', '.join(plan.faults)}" if plan.faults else "none"
        counts = (str(outcome.commands), str(outcome.messages))
        rows.append((plan.backend, faults, str(plan.seed), *counts, str(outcome.verdict)))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:5], widths, strict=True)]
        lines.append("  ".join([*cells, row[5]]))
    return "\n".join(lines)


async def _one(plan: Plan) -> Outcome:
    print(f"==> {plan.command}", flush=True)
    outcome = await run(plan)
    print(f"    {outcome.verdict}", flush=True)
    for violation in outcome.verdict.violations[:10]:
        print(f"    {violation}")
    if outcome.folder is not None:
        print(f"    record and logs: {outcome.folder}", flush=True)
    return outcome


async def _main() -> int:
    arguments = _arguments()
    level = logging.INFO if arguments.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(message)s")
    outcomes = []
    if arguments.seed is not None:
        faults = tuple(name for name in arguments.faults.split(",") if name)
        backend = arguments.backend or "redis"
        outcomes.append(
            await _one(
                Plan(
                    seed=arguments.seed,
                    backend=backend,
                    faults=faults,
                    seconds=arguments.seconds,
                    pace=arguments.pace,
                )
            )
        )
    else:
        end = time.monotonic() + arguments.minutes * 60
        while time.monotonic() < end:
            outcomes.append(await _one(_random_plan(len(outcomes), arguments.seconds, arguments.pace)))
    print()
    print(_table(outcomes))
    return 0 if all(outcome.verdict.is_good for outcome in outcomes) else 1


if __name__ == "__main__":
    reaper.watch()
    sys.exit(asyncio.run(_main()))
