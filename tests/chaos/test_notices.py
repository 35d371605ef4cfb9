"""The rules about direct messages, echoes, numbers of sockets, real time and lost connections can fail."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.story import Story
from tests.chaos.verdict import Rule

TEXT = {"textMessage": "hello"}


def two_sockets() -> Story:
    """Alice has a second socket, ``a2``."""
    story = Story()
    story.open("a2", "alice")
    return story


def told_join(story: Story, socket: str = "a", *, result: int = 1) -> None:
    """A join that the user's other socket is told of."""
    story.join(socket, result=result)
    other = "a2" if socket == "a" else "a"
    story.record.received(other, "roomJoinedEcho", "room", socket, result)


def send_direct(story: Story, *, error: str | None = None) -> None:
    story.call("a", "directMessage", "bob", TEXT, error=error, result=TEXT)


def everything_told(story: Story) -> None:
    told_join(story)
    told_join(story, "a2", result=2)
    send_direct(story)
    story.record.received("b", "directMessage", {**TEXT, "author": "alice"})
    story.record.received("a2", "directMessageEcho", "bob", TEXT)
    story.call("a", "systemMessage", {"textMessage": "system"})
    story.record.received("a2", "systemMessage", {"textMessage": "system"})


def left_unclearly_and_joined_again(story: Story) -> None:
    """It may have been in the room all the time; then nobody is told."""
    told_join(story)
    story.call("a", "roomLeave", "room", error="timeout")
    story.join("a")


def unclear_direct(story: Story) -> None:
    send_direct(story, error="timeout")


@pytest.mark.parametrize("tell", [everything_told, left_unclearly_and_joined_again, unclear_direct])
def test_good_notices(tell: Callable[[Story], None]):
    story = two_sockets()
    tell(story)
    assert story.judge().is_good, story.judge().violations


def lost_direct(story: Story) -> None:
    send_direct(story)
    story.record.received("a2", "directMessageEcho", "bob", TEXT)


def lost_direct_echo(story: Story) -> None:
    send_direct(story)
    story.record.received("b", "directMessage", TEXT)


def direct_twice(story: Story) -> None:
    unclear_direct(story)
    story.record.received("b", "directMessage", TEXT)
    story.record.received("b", "directMessage", TEXT)


def direct_to_a_third(story: Story) -> None:
    unclear_direct(story)
    story.record.received("o", "directMessage", TEXT)


def refused_direct(story: Story) -> None:
    send_direct(story, error="notAllowed")
    story.record.received("b", "directMessage", TEXT)


def direct_of_nobody(story: Story) -> None:
    story.record.received("b", "directMessage", TEXT)


def lost_system_message(story: Story) -> None:
    story.call("a", "systemMessage", TEXT)


def untold_join(story: Story) -> None:
    story.join("a")


def echo_to_a_stranger(story: Story) -> None:
    told_join(story)
    story.record.received("b", "roomJoinedEcho", "room", "a", 1)


def echo_of_no_join(story: Story) -> None:
    story.record.received("a2", "roomJoinedEcho", "room", "a", 1)


def too_many_joined(story: Story) -> None:
    told_join(story, result=2)


def too_few_joined(story: Story) -> None:
    told_join(story)
    told_join(story, "a2", result=1)


def later_with_a_smaller_id(story: Story) -> None:
    for message_id, text in ((2, "second"), (1, "first")):
        story.call("o", "roomMessage", "room", {"textMessage": text}, result=message_id)
    story.histories["room"] = [(1, "first"), (2, "second")]


def thrown_out(story: Story) -> None:
    story.record.closed("b")
    del story.sockets["bob"]["b"]


@pytest.mark.parametrize(
    ("spoil", "rules"),
    [
        (lost_direct, {Rule.DIRECT_LOST}),
        (lost_direct_echo, {Rule.DIRECT_LOST}),
        (direct_twice, {Rule.ASTRAY}),
        (direct_to_a_third, {Rule.ASTRAY}),
        (refused_direct, {Rule.ASTRAY}),
        (direct_of_nobody, {Rule.ASTRAY}),
        (lost_system_message, {Rule.DIRECT_LOST}),
        (untold_join, {Rule.ECHO_LOST}),
        (echo_to_a_stranger, {Rule.ASTRAY}),
        (echo_of_no_join, {Rule.ASTRAY}),
        (too_many_joined, {Rule.JOINED_COUNT}),
        (too_few_joined, {Rule.JOINED_COUNT}),
        (later_with_a_smaller_id, {Rule.REAL_TIME}),
        (thrown_out, {Rule.THROWN_OUT}),
    ],
)
def test_every_rule_about_notices_can_fail(spoil: Callable[[Story], None], rules: set[Rule]):
    story = two_sockets()
    spoil(story)
    verdict = story.judge()
    assert {violation.rule for violation in verdict.violations} == rules, verdict.violations


@pytest.mark.parametrize("is_served", [False, True])
def test_a_lost_socket_is_counted_for_a_while_in_which_somebody_is_served(is_served: bool):
    """What stands still for 40 seconds cleans nothing up meanwhile."""
    story = two_sockets()
    told_join(story)
    told_join(story, "a2", result=2)
    story.record.closed("a2", by_client=True)
    story.forget("a2")
    del story.sockets["alice"]["a2"]
    begun = len(story.record.entries)
    for _ in range(80 if is_served else 1):
        story.call("b", "directGetWhitelistMode", result=False)
    story.call("a", "roomLeave", "room", result=1)
    story.forget("a")
    later = story.record.entries[begun:]
    for number, entry in enumerate(later, 1):
        seconds = 40 * number / len(later) if is_served else 40
        story.record.entries[begun + number - 1] = replace(entry, time=entry.time + seconds)
    wrong = {item.rule for item in story.judge().violations}
    assert wrong == ({Rule.JOINED_COUNT} if is_served else set())
