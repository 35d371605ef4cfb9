"""The verdicts of both judges on many runs, by property."""

from collections import Counter
from collections.abc import Sequence

from tests.chaos.history_judge import HistoryVerdict, Property
from tests.chaos.verdict import Rule, Verdict

#: The rules by which the first judge decides a property. The others are its own.
RULES: dict[Property, frozenset[Rule]] = {
    Property.EXACTLY_ONCE: frozenset({Rule.DUPLICATE, Rule.REFUSED_STORED, Rule.INVENTED}),
    Property.NO_LOSS: frozenset({Rule.ACKED_LOST}),
    Property.ORDER: frozenset({Rule.ORDER, Rule.CONFLICT, Rule.NOT_DENSE}),
    Property.DELIVERY: frozenset({Rule.GAP, Rule.LATE_START, Rule.OLD_MESSAGE, Rule.TAIL}),
    Property.CURSOR: frozenset({Rule.CURSOR}),
    Property.GAPS: frozenset({Rule.GAP_TOLD}),
    Property.REAL_TIME: frozenset({Rule.REAL_TIME}),
    Property.READS: frozenset({Rule.STALE_READ}),
    Property.CONDITIONAL: frozenset(),
    Property.PRESENCE: frozenset({Rule.MEMBERS, Rule.SOCKETS, Rule.INDEX, Rule.OWN_SOCKETS, Rule.USERLIST}),
}
OTHERS = frozenset(Rule) - frozenset().union(*RULES.values())


def align(rows: Sequence[Sequence[str]]) -> str:
    """A table with columns of equal width, but for the last."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    )


def verdicts(runs: Sequence[tuple[Verdict, HistoryVerdict]], commands: int) -> str:
    """One row for each property: what each judge says, and how many operations the second one examined.

    "Excused" are those that lost data excuses, and what the faults permit the first judge's rules.
    """
    bad = Counter(violation.rule for first, _ in runs for violation in first.violations)
    allowed = Counter(violation.rule for first, _ in runs for violation in first.allowed)
    found = Counter(kind for _, second in runs for kind, _ in second.findings)
    examined, excused = Counter[Property](), Counter[Property]()
    for _, second in runs:
        examined.update(second.examined)
        excused.update(second.excused)
    rows = [("property", "judge 1", "judge 2", "operations examined")]
    for kind, rules in RULES.items():
        one = _cell(sum(bad[rule] for rule in rules), sum(allowed[rule] for rule in rules)) if rules else "-"
        two = _cell(found[kind], excused[kind]) if examined[kind] or excused[kind] else "nothing to judge"
        rows.append((kind.value, one, two, str(examined[kind])))
    others = _cell(sum(bad[rule] for rule in OTHERS), sum(allowed[rule] for rule in OTHERS))
    rows.append(("the other rules of the first judge", others, "-", f"{commands} commands"))
    return align(rows)


def _cell(bad: int, excused: int) -> str:
    return (f"BAD: {bad}" if bad else "good") + (f" ({excused} excused)" if excused else "")
