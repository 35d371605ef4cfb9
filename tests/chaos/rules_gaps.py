"""Rules about messages that are reported as missing (``roomHistoryGap``)."""

from collections.abc import Iterator

from tests.chaos.record import PREVIOUS
from tests.chaos.run import Run
from tests.chaos.tracking import Segment
from tests.chaos.verdict import Rule, Violation


def untold(run: Run, segment: Segment, first: int, last: int, at: int) -> list[int]:
    """Those of the ids ``first`` to ``last`` that a socket was not told of until the place ``at``.

    The previous version tells nobody: there, what was rotated away counts as told.
    """
    missing = set(range(first, last + 1))
    for place, _, begin, end in segment.gaps:
        if place < at:
            missing.difference_update(range(begin, end + 1))
    if missing and run.versions[segment.socket] == PREVIOUS:
        missing = {
            message_id for message_id in missing if not is_rotated_at(run, segment.room, message_id, at)
        }
    return sorted(missing)


def is_rotated_at(run: Run, room: str, message_id: int, at: int) -> bool:
    """Whether newer messages, sent before the place ``at``, may have taken its place in the history."""
    sent = (post.id or 0 for post in run.posts.values() if post.room == room and post.sent_at < at)
    return message_id <= max(sent, default=0) - run.keeps(room)


def gaps(run: Run) -> Iterator[Violation]:
    """A gap follows what the socket has got, is of the room's epoch, and holds nothing that is still stored.

    That it goes up to the next message is decided with the messages.
    """
    for segment in run.segments:
        if not (segment.is_exact and segment.gaps and run.is_kept(segment.room)):
            continue
        epochs = run.epochs[segment.room]
        for at, epoch, first, last in segment.gaps:
            what = f"{segment.socket} of {segment.user} in {segment.room}, told at {at} of {first} to {last}"
            before, is_next = _before(segment, at)
            if first > last or first <= before or (is_next and first != before + 1):
                yield Violation(Rule.GAP_TOLD, f"{what}: it had got up to {before}")
            elif not is_rotated_at(run, segment.room, last, at):
                yield Violation(Rule.GAP_TOLD, f"{what}: {last} is still stored")
            elif epochs and epoch not in epochs:
                yield Violation(Rule.GAP_TOLD, f"{what}: epoch {epoch}, where clients know {epochs}")


def _before(segment: Segment, at: int) -> tuple[int, bool]:
    """The last id that a socket knew of before a place, and whether the next one has to follow it."""
    known = [message_id for place, message_id, _ in segment.messages if place < at]
    known += [last for place, _, _, last in segment.gaps if place < at]
    if known:
        return max(known), True
    return (segment.joined_last or 0), segment.joined_last is not None
