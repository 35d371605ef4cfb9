"""Attack a service for ``--minutes``, and print a table of the packets sent and the findings."""

import argparse
import gc
import platform
import random
import resource
import sys
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.security.fuzz.attack import ATTACKS, Attack, Attacker
from tests.security.fuzz.served import Served, grown

#: Examples between two looks at the memory.
ROUND = 300
#: Seconds of processor time that one turn of the loop may take.
LONGEST_TURN = 0.05
#: Rounds after which everything is there that stays: caches, histories, lists.
WARM_UP = 3
#: Bytes that the process may grow by after that, and the part of its size.
MEMORY_SLACK = 48 * 1024 * 1024
#: Objects of one type that there may be more of: the loop keeps so many timers that were cancelled, and what
#: their contexts hold. A leak of one object per example is a multiple of that.
OBJECT_SLACK = 150


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _machine() -> str:
    models = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    }
    return f"{', '.join(models) or platform.machine()}, Python {platform.python_version()}"


def _round(attacker: Attacker, number: int, count: int) -> str | None:
    """One round; the complaint with its example, if there is one."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # Many findings only show after the wait for what does not come: too slow to be made small.
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    @given(ATTACKS)
    def attack(example: Attack) -> None:
        attacker.run(example)

    try:
        attack()
    except Exception as error:
        notes = "\n".join(getattr(error, "__notes__", ()))
        return f"{''.join(traceback.format_exception(error, limit=-3))}{notes}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.security.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, help="of the first round; random if it is not given")
    parser.add_argument("--examples", type=int, default=ROUND, help="of one round")
    parser.add_argument("--turn", type=float, default=LONGEST_TURN, help="seconds of one turn of the loop")
    arguments = parser.parse_args()
    first = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
    begun = time.monotonic()
    findings: list[str] = []
    longest = 0.0
    with Served() as served, Attacker(served, longest_turn=arguments.turn) as attacker:
        number = 0
        size = peak = warm = 0
        objects = served.objects()
        while time.monotonic() - begun < arguments.minutes * 60:
            found = _round(attacker, first + number, arguments.examples)
            longest = max(longest, attacker.longest)
            attacker.longest = 0.0
            if found is not None:
                findings.append(f"seed {first + number}: {found}")
                print(findings[-1], flush=True)
            number += 1
            gc.collect()
            size = _resident()
            peak = max(peak, size)
            if number == WARM_UP:
                warm, objects = size, served.objects()
            print(
                f"round {number}, seed {first + number - 1}: {attacker.tally.examples} examples, "
                f"{size // 2**20} MiB, longest turn {longest * 1000:.0f} ms, {len(findings)} findings",
                flush=True,
            )
        if number > WARM_UP:
            if more := grown(objects, served.objects(), OBJECT_SLACK):
                findings.append(f"objects that are left: {more}")
            if size > warm + MEMORY_SLACK:
                findings.append(f"memory: {warm} -> {size} bytes")
        tally = attacker.tally
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.kinds.items()))
    rows = {
        "minutes": f"{(time.monotonic() - begun) / 60:.1f}",
        "machine": _machine(),
        "first seed": str(first),
        "examples": f"{tally.examples} ({kinds})",
        "packets": str(tally.packets),
        "commands that wanted an ack": str(tally.commands),
        "acks": str(tally.answered),
        "connections that ended for a stated reason": str(tally.ended),
        "longest turn of the loop": f"{longest * 1000:.1f} ms of processor time",
        "memory after the warm-up and at the end": f"{warm // 2**20} and {size // 2**20} MiB",
        "findings": str(len(findings)),
    }
    print("\n" + "\n".join(f"{name:<44}{value}" for name, value in rows.items()))
    print("\nthe most frequent reasons:")
    for reason, count in sorted(tally.reasons.items(), key=lambda item: -item[1])[:12]:
        print(f"  {count:>7}  {reason!r}")
    for finding in findings:
        print(f"\n{finding}")
    print("\nGOOD" if not findings else "\nBAD")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
