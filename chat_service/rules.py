"""The permission rules, as pure functions of facts (protocol.md, Rules).

They exist once here and once in each store that decides elsewhere than in Python; the conformance
suite compares a store with these functions over every combination of facts.
"""

from collections.abc import Collection
from dataclasses import dataclass

from chat_service.errors import ChatServiceError
from chat_service.types import DIRECT_LISTS, ROOM_LISTS, USERLIST


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomFacts:
    """What a room knows of one user when it decides."""

    is_owner: bool
    in_adminlist: bool
    in_blacklist: bool
    in_whitelist: bool
    whitelist_only: bool
    joined: bool = False


def is_admin(facts: RoomFacts) -> bool:
    """Owner and admins."""
    return facts.is_owner or facts.in_adminlist


def has_room_access(facts: RoomFacts) -> bool:
    """May the user join and stay? Owner and admins always; else the lists and the mode decide."""
    if is_admin(facts):
        return True
    return not facts.in_blacklist and (facts.in_whitelist or not facts.whitelist_only)


def may_read(facts: RoomFacts) -> bool:
    """May the user read history, lists and settings? Joined users and admins."""
    return facts.joined or is_admin(facts)


def may_change_list(facts: RoomFacts, list_name: str, *, names_owner: bool) -> bool:
    """May the user change this list? ``names_owner``: the owner's name is among the changed ones."""
    if facts.is_owner:
        return True
    return facts.in_adminlist and list_name != "adminlist" and not names_owner


def has_direct_access(*, in_blacklist: bool, in_whitelist: bool, whitelist_only: bool) -> bool:
    """May a sender with these facts write to the recipient who owns the lists?"""
    return not in_blacklist and (in_whitelist or not whitelist_only)


def check_direct_list(list_name: str) -> None:
    """Raise ``noList`` unless users have such a list."""
    if list_name not in DIRECT_LISTS:
        raise ChatServiceError("noList", list_name)


def check_room_list(list_name: str, *, reading: bool) -> None:
    """Raise ``noList`` unless rooms have such a list, ``notAllowed`` for a change of ``userlist``."""
    if list_name == USERLIST:
        if not reading:
            raise ChatServiceError("notAllowed")
    elif list_name not in ROOM_LISTS:
        raise ChatServiceError("noList", list_name)


def check_list_growth(current: Collection[str], names: Collection[str], list_name: str, limit: int) -> None:
    """Raise ``listLimitExceeded`` when the distinct names after the addition are more than ``limit``."""
    added = set(names).difference(current)
    if added and len(current) + len(added) > limit:
        raise ChatServiceError("listLimitExceeded", list_name)
