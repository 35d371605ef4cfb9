"""The permission rules, as pure functions of facts (protocol.md, Rules).

A store that decides elsewhere than in Python has its own copy. The conformance suite compares each store with
these functions over every combination of facts.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from chat_service.errors import ChatServiceError
from chat_service.types import DIRECT_LISTS, ROOM_LISTS, USERLIST


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomFacts:
    """The facts about one user in one room on which access depends."""

    is_owner: bool
    in_adminlist: bool
    in_blacklist: bool
    in_whitelist: bool
    whitelist_only: bool
    joined: bool = False


def is_admin(facts: RoomFacts) -> bool:
    """Is the user the owner or an admin?"""
    return facts.is_owner or facts.in_adminlist


def has_room_access(facts: RoomFacts) -> bool:
    """May the user join and stay? The owner and admins always may; for others the lists and mode decide."""
    if is_admin(facts):
        return True
    return not facts.in_blacklist and (facts.in_whitelist or not facts.whitelist_only)


def may_read(facts: RoomFacts) -> bool:
    """May the user read history, lists and settings? Joined users and admins may."""
    return facts.joined or is_admin(facts)


def may_change_list(facts: RoomFacts, list_name: str, *, names_owner: bool) -> bool:
    """May the user change this list? ``names_owner``: whether the owner is among the names."""
    if facts.is_owner:
        return True
    return facts.in_adminlist and list_name != "adminlist" and not names_owner


def has_direct_access(*, in_blacklist: bool, in_whitelist: bool, whitelist_only: bool) -> bool:
    """May a sender with these facts write to the owner of the lists?"""
    return not in_blacklist and (in_whitelist or not whitelist_only)


def check_direct_list(list_name: str) -> None:
    """Raise ``noList`` unless this is an access list of users."""
    if list_name not in DIRECT_LISTS:
        raise ChatServiceError("noList", list_name)


def check_room_list(list_name: str, *, reading: bool) -> None:
    """Raise ``noList`` unless this is a list of rooms, and ``notAllowed`` on an attempt to change
    ``userlist``.
    """
    if list_name == USERLIST:
        if not reading:
            raise ChatServiceError("notAllowed")
    elif list_name not in ROOM_LISTS:
        raise ChatServiceError("noList", list_name)


def check_list_growth(current: Collection[str], names: Collection[str], list_name: str, limit: int) -> None:
    """Raise ``listLimitExceeded`` if adding the names would make the list longer than ``limit``."""
    added = set(names).difference(current)
    if added and len(current) + len(added) > limit:
        raise ChatServiceError("listLimitExceeded", list_name)


def count_within(sizes: Iterable[int], limit: int) -> int:
    """The number of leading sizes whose sum is at most ``limit``; at least one, if there are any."""
    total = count = 0
    for size in sizes:
        total += size
        if total > limit and count:
            return count
        count += 1
    return count


class Selected(NamedTuple):
    """A range of messages by their ids. ``first`` is greater than ``last`` if there are none."""

    recovered: bool
    first: int
    last: int
    more: bool


def select_history(
    after: int | None, *, is_same: bool, limit: int, recent: int, last_id: int, stored: int
) -> Selected:
    """Select the messages that a join with a cursor returns (extensions.md, Join with a cursor).

    ``after``: the last known message, None if none is known. ``is_same``: whether it belongs to the room's
    epoch. ``last_id``, ``stored``: the room's last id, and the number of messages it still has. The
    messages after the known one are ``recovered`` if all of them are stored; otherwise the newest
    ``recent`` are selected.
    """
    oldest = last_id - stored + 1
    if after is not None and is_same and (after == last_id or (limit > 0 and oldest <= after + 1 <= last_id)):
        last = min(after + limit, last_id)
        return Selected(True, after + 1, last, last < last_id)
    return Selected(False, last_id - min(recent, stored) + 1, last_id, False)
