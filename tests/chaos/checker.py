"""Judges the record of a whole run, as a pure function of the record."""

from itertools import chain

from tests.chaos import rules_gaps, rules_messages, rules_notices, rules_presence
from tests.chaos.record import FinalState, Record
from tests.chaos.run import Run
from tests.chaos.verdict import Rule, Verdict

#: Seconds in which each command on an open connection has to be answered.
ANSWER_IN = 30.0
#: Rules that what comes late may still satisfy.
LATE = frozenset(
    {
        Rule.MEMBERS,
        Rule.SOCKETS,
        Rule.INDEX,
        Rule.TAIL,
        Rule.INSTANCES,
        Rule.PRESENCE_END,
        Rule.HUNG,
    }
)


def judge(
    record: Record,
    final: FinalState,
    *,
    allowed: frozenset[Rule] = frozenset(),
    alive: int | None = None,
    answer_in: float = ANSWER_IN,
) -> Verdict:
    """Say what is wrong with a run.

    ``allowed``: rules that the faults of the run may break; what broke them is told all the same. ``alive``:
    how many instances ran in the end; not looked at when None.
    """
    run, verdict = Run(record, final), Verdict()
    for found in (
        rules_messages.stored(run),
        rules_messages.dense(run),
        rules_messages.delivered(run, verdict),
        rules_gaps.gaps(run),
        rules_messages.uninvited(run),
        rules_messages.reads(run),
        rules_messages.removed(run),
        rules_messages.times(run, answer_in),
        rules_notices.direct(run),
        rules_notices.echoes(run),
        rules_notices.joined_counts(run),
        rules_notices.real_time(run),
        rules_notices.connections_kept(run),
        rules_presence.final_state(run),
        rules_presence.answers(run),
        rules_presence.presence(run),
        rules_presence.instances(run, alive),
    ):
        verdict.add(found, allowed)
    return verdict


def is_at_rest(
    record: Record, final: FinalState, *, allowed: frozenset[Rule] = frozenset(), alive: int | None = None
) -> bool:
    """Whether nothing is left to wait for: what faults permit may last."""
    run = Run(record, final)
    found = chain(
        rules_presence.instances(run, alive),
        rules_presence.final_state(run),
        rules_presence.presence(run),
        rules_messages.times(run, ANSWER_IN),
        rules_messages.delivered(run, Verdict()),
    )
    return not any(violation.rule in LATE - allowed for violation in found)
