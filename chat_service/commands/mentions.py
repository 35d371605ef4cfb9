"""Mentions: the members whom a message names by ``@name``."""

import re
from itertools import islice
from typing import Final

from chat_service.domain.context import Context
from chat_service.types import Message, RoomName, UserName

#: The field of a message with the members it mentions. With the option ``mentions_limit`` only the server
#: sets it.
MENTIONS: Final = "mentions"

#: How many words a name may have to be found. Each "@" means at most twice as many names to look up.
MAX_WORDS: Final = 4

#: An "@" that does not follow a letter, digit or underscore, as in an e-mail address.
_find_marks = re.compile(r"(?<!\w)@").finditer
#: Characters that no name contains.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f:{}]")
_find_words = re.compile(r"\S+").finditer
_PUNCTUATION = ".,;!?)]\"'…"


def named(text: str, limit: int, name_length: int) -> list[list[str]]:
    """The names that each of the first ``limit`` "@" of a text may stand for, the longest one first.

    A name may have spaces, so it ends with one of the next words, with or without the punctuation after it.
    """
    found: list[list[str]] = []
    for mark in islice(_find_marks(text), limit):
        rest = text[mark.end() : mark.end() + name_length + 1]
        rest = _FORBIDDEN.split(rest, maxsplit=1)[0]
        if not rest or rest[0].isspace():
            continue
        names: list[str] = []
        for count, word in enumerate(_find_words(rest)):
            if count >= MAX_WORDS:
                break
            name = rest[: word.end()]
            names += (name.rstrip(_PUNCTUATION), name)
        names = [name for name in dict.fromkeys(reversed(names)) if 0 < len(name) <= name_length]
        if names:
            found.append(names)
    return found


async def with_mentions(context: Context, room: RoomName, message: Message) -> Message:
    """The message with the members it mentions, in the order of their first mention; without the field if
    there are none.
    """
    options, text = context.options, message.get("textMessage")
    shown = {name: value for name, value in message.items() if name != MENTIONS}
    if not isinstance(text, str) or "@" not in text:
        return shown
    wanted = named(text, options.mentions_limit, options.name_length_limit)
    names = list(dict.fromkeys(UserName(name) for each in wanted for name in each))
    if not names:
        return shown
    joined = await context.store.room_joined(room, names)
    chosen = (next((name for name in each if name in joined), None) for each in wanted)
    mentioned = list(dict.fromkeys(name for name in chosen if name is not None))
    return {MENTIONS: mentioned, **shown} if mentioned else shown
