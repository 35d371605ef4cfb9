"""Histories that are cut to the binary values of one packet."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.commands.messages import within_one_packet


def newest_first(counts: list[int]) -> list[dict[str, Any]]:
    """Messages with these numbers of binary values, oldest first."""
    made = [{"id": number, "binary": [b"x"] * count} for number, count in enumerate(counts, 1)]
    return made[::-1]


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 12))
def test_everything_arrives_in_parts(counts: list[int], limit: int) -> None:
    for keeps_oldest in (True, False):
        rest, ids = newest_first(counts), []
        while rest:
            part = within_one_packet(rest, limit, keeps_oldest=keeps_oldest)
            assert part, "at least one message comes"
            binary = sum(len(message["binary"]) for message in part)
            assert binary <= limit or len(part) == 1
            if keeps_oldest:
                ids += [message["id"] for message in reversed(part)]
                left = rest[: -len(part)]
                following = left[-1:]
            else:
                ids += [message["id"] for message in part]
                left = rest[len(part) :]
                following = left[:1]
            # As many as fit.
            for message in following:
                assert binary + len(message["binary"]) > limit
            rest = left
        expected = list(range(1, len(counts) + 1))
        assert ids == (expected if keeps_oldest else expected[::-1])


@pytest.mark.parametrize("keeps_oldest", [True, False])
def test_nothing_is_cut_without_binary_values(keeps_oldest: bool) -> None:
    messages = newest_first([0] * 50)
    assert within_one_packet(messages, 0, keeps_oldest=keeps_oldest) is messages
