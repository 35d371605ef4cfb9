"""The permission rules for every combination of facts, compared with protocol.md."""

import itertools

import pytest

from chat_service import ChatServiceError, rules
from chat_service.rules import RoomFacts

FACTS = [
    RoomFacts(
        is_owner=owner,
        in_adminlist=admin,
        in_blacklist=black,
        in_whitelist=white,
        whitelist_only=mode,
        joined=joined,
    )
    for owner, admin, black, white, mode, joined in itertools.product([False, True], repeat=6)
]


def test_the_table_is_complete() -> None:
    assert len(set(FACTS)) == 64


def test_room_access() -> None:
    for facts in FACTS:
        if facts.is_owner or facts.in_adminlist:
            expected = True
        elif facts.in_blacklist:
            expected = False
        elif facts.whitelist_only:
            expected = facts.in_whitelist
        else:
            expected = True
        assert rules.has_room_access(facts) is expected, facts


def test_read_access() -> None:
    for facts in FACTS:
        assert rules.may_read(facts) is any([facts.joined, facts.is_owner, facts.in_adminlist]), facts
        assert rules.is_admin(facts) is any([facts.is_owner, facts.in_adminlist]), facts


@pytest.mark.parametrize("list_name", ["adminlist", "blacklist", "whitelist"])
@pytest.mark.parametrize("names_owner", [False, True])
def test_list_change_access(names_owner: bool, list_name: str) -> None:
    for facts in FACTS:
        if facts.is_owner:
            expected = True
        elif facts.in_adminlist:
            expected = list_name != "adminlist" and not names_owner
        else:
            expected = False
        assert rules.may_change_list(facts, list_name, names_owner=names_owner) is expected, facts


@pytest.mark.parametrize(
    ("black", "white", "mode", "expected"),
    [
        (False, False, False, True),
        (False, False, True, False),
        (False, True, False, True),
        (False, True, True, True),
        (True, False, False, False),
        (True, False, True, False),
        (True, True, False, False),
        (True, True, True, False),
    ],
)
def test_direct_access(black: bool, white: bool, mode: bool, expected: bool) -> None:
    assert rules.has_direct_access(in_blacklist=black, in_whitelist=white, whitelist_only=mode) is expected


def code_of(check: str, *args: object, **keywords: object) -> str | None:
    try:
        getattr(rules, check)(*args, **keywords)
    except ChatServiceError as error:
        return error.code
    return None


def test_list_names() -> None:
    for name in ("blacklist", "whitelist"):
        assert code_of("check_direct_list", name) is None
    for name in ("adminlist", "userlist", "", "Whitelist"):
        assert code_of("check_direct_list", name) == "noList"
    for name in ("adminlist", "blacklist", "whitelist"):
        assert code_of("check_room_list", name, reading=True) is None
        assert code_of("check_room_list", name, reading=False) is None
    assert code_of("check_room_list", "userlist", reading=True) is None
    assert code_of("check_room_list", "userlist", reading=False) == "notAllowed"
    for reading in (True, False):
        assert code_of("check_room_list", "owner", reading=reading) == "noList"


@pytest.mark.parametrize(
    ("current", "names", "limit", "fits"),
    [
        ([], [], 0, True),
        ([], ["a"], 0, False),
        ([], ["a", "a", "a"], 1, True),
        (["a"], ["a"], 1, True),
        (["a"], ["b"], 1, False),
        (["a"], ["b", "a", "b"], 2, True),
        (["a"], ["b", "c"], 2, False),
        # After lowering a limit, existing names stay but none can be added.
        (["a", "b", "c"], ["a"], 2, True),
        (["a", "b", "c"], ["d"], 2, False),
    ],
)
def test_list_limits_count_distinct_names(
    current: list[str], names: list[str], limit: int, fits: bool
) -> None:
    assert code_of("check_list_growth", current, names, "whitelist", limit) == (
        None if fits else "listLimitExceeded"
    )
