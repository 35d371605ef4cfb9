"""The plain protocol for lines: words for people, JSON for programs. Answers are JSON, one per line.

::

    login userName=alice
    roomJoin lobby
    say lobby hello, everybody
    {"id": 7, "command": "roomHistoryInfo", "args": ["lobby"]}
    quit
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from chat_service.transports.streams.dialect import Client, Close, Closing, LogIn, Run, Send, Steps
from chat_service.transports.streams.plain_json import (
    SUBPROTOCOL,
    PlainConversation,
    write_event,
)
from chat_service.transports.streams.wire_json import read_json, write_json

HELP: Final = (
    'log in first: "login name=value …" or "login TOKEN". Then one command a line: "roomJoin ROOM", '
    '"say ROOM TEXT", "roomLeave ROOM", "quit", or any other command with its arguments as words or JSON'
)
#: Words that end the session.
QUIT: Final = ("quit", "exit")

_SPACE: Final = re.compile(r"[ \t]*")
_WORD: Final = re.compile(r"[^ \t]+")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,18})(?:\.\d{1,18})?|true|false|null", re.ASCII)
_FIELD: Final = re.compile(r"([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)


def split_words(line: str, max_values: int) -> Iterator[Any]:
    """The words of a line: JSON where a word begins like it, otherwise a string. Raises ``ValueError``.

    Arrays and objects may contain spaces; they end where their brackets do.
    """
    at = 0
    while True:
        space = _SPACE.match(line, at)
        at = space.end() if space else at
        if at >= len(line):
            return
        end = _end_of_json(line, at) if line[at] in '{["' else 0
        if end:
            if line[end : end + 1].strip(" \t"):
                raise ValueError("JSON is not followed by a space")
            yield read_json(line[at:end], max_values)
        else:
            word = _WORD.match(line, at)
            end = word.end() if word else len(line)
            text = line[at:end]
            yield read_json(text, 1) if _NUMBER.fullmatch(text) else text
        at = end


def _end_of_json(line: str, at: int) -> int:
    """The end of the JSON value that begins here. Raises ``ValueError`` if it has none."""
    depth, start = 0, at
    while at < len(line):
        mark = line[at]
        if mark == '"':
            string = _STRING.match(line, at)
            if string is None:
                raise ValueError("a quotation mark is missing")
            at = string.end()
        else:
            depth += (mark in "{[") - (mark in "}]")
            at += 1
        if depth == 0:
            return at
    raise ValueError(f"a bracket is missing after {line[start : start + 20]}")


class LineConversation(PlainConversation):
    """A client on a line. Commands as words get the numbers of their order, beginning with 1."""

    def __init__(self, max_values: int) -> None:
        super().__init__(max_values)
        self._number = 0

    def begin(self) -> Steps:
        """Part of ``Conversation``: tells a person what to type."""
        return (Send(write_json({"welcome": SUBPROTOCOL, "help": HELP})),)

    def receive(self, text: str) -> Steps:
        """Part of ``Conversation``."""
        line = text.strip(" \t")
        if not line:
            return ()
        if line.startswith("{"):
            return super().receive(line)
        if line in QUIT:
            return (Close(write_json({"closing": "quit"})),)
        if line == "help":
            return (Send(write_json({"help": HELP})),)
        try:
            return self.start(self._read_words(line))
        except ValueError as error:
            return self.malformed(str(error))

    def _read_words(self, line: str) -> LogIn | Run:
        command, _, rest = line.partition(" ")
        if command == "login":
            return self._read_login(list(split_words(rest, self._max_values)))
        self._number += 1
        if command == "say":
            room, _, said = rest.strip(" \t").partition(" ")
            return Run("roomMessage", (room, {"textMessage": said.strip(" \t")}), self._number)
        return Run(command, list(split_words(rest, self._max_values)), self._number)

    @staticmethod
    def _read_login(words: list[Any]) -> LogIn:
        fields = [_FIELD.fullmatch(word) if isinstance(word, str) else None for word in words]
        if words and all(fields):
            return LogIn(None, {field[1]: field[2] for field in fields if field})
        return LogIn(words[0] if len(words) == 1 else words or None)

    def closing(self, closing: Closing) -> bytes:
        """Part of ``Conversation``."""
        told: dict[str, Any] = {"closing": closing.reason}
        if closing.may_return:
            told["mayReturn"] = True
        return write_json(told)


class PlainLines:
    """The dialect of lines."""

    name = "line"
    subprotocols: Sequence[str] = ()

    def __init__(self, max_values: int = 25_000) -> None:
        """``max_values``: maximum number of values in a line."""
        self._max_values = max_values

    def converse(self, client: Client) -> LineConversation:
        """Part of ``Dialect``."""
        return LineConversation(self._max_values)

    def event(self, event: str, args: Sequence[Any]) -> bytes:
        """Part of ``Dialect``."""
        return write_event(event, args)
