"""``chat-service genconfig``: a file for ``serve`` with all keys, commented."""

import textwrap
from collections.abc import Iterator
from dataclasses import MISSING
from typing import Final

from chat_service.cli import output
from chat_service.cli.parameters import subcommand
from chat_service.cli.sections import SECTIONS, SECTIONS_THAT_SWITCH_ON

#: Maximum number of characters in a line of comment.
WIDTH: Final = 100

HEAD: Final = """\
# The configuration of `chat-service serve`. All keys are here with their defaults: to change one,
# remove the "#" before it. Those without a value have none by default. `chat-service check --config
# FILE --public` judges the result.
#
# Each key can also be set by an environment variable, which wins over this file: CHAT_SECTION__KEY,
# such as CHAT_SERVICE__PORT. `chat-service serve --config FILE --print-config` shows what counts.
"""

#: The keys that are set, with their values, and a comment.
ACTIVE: Final = {
    ("login", "type"): (
        '"name"',
        "The name that a client sends is trusted here, so this is for experiments on this machine only. "
        "Choose another type before others can connect.",
    ),
    ("rooms", "name"): ('"default"', "Its name."),
}


@subcommand(
    "genconfig",
    """
    chat-service genconfig > chat.toml
    chat-service genconfig | chat-service serve --config /dev/stdin --print-config
    """,
)
def command() -> None:
    """Print a configuration file for serve: all keys with their meanings and defaults.

    serve accepts it unchanged. It listens on this machine only, and trusts the names that clients send.
    """
    text = config_text()
    output.write(text.rstrip("\n") if output.writes_unicode() else text.encode("ascii", "replace").decode())


def config_text() -> str:
    """The text of the file."""
    return "\n".join([HEAD, *(_section(name) for name in SECTIONS)])


def _section(name: str) -> str:
    head = "[[rooms]]" if name == "rooms" else f"[{name}]"
    is_off = name in SECTIONS_THAT_SWITCH_ON and name != "login"
    lines = [*_comment(SECTIONS[name]), f"#{head}" if is_off else head, *_keys(name)]
    return "\n".join(lines) + "\n"


def _keys(section: str) -> Iterator[str]:
    from chat_service.cli.option_keys import keys_of
    from chat_service.cli.toml_text import literal

    for key in keys_of(section):
        yield ""
        yield from _comment(key.doc)
        value, comment = ACTIVE.get((section, key.name), (None, ""))
        yield from _comment(comment)
        if value is not None:
            yield f"{key.name} = {value}"
        elif key.default is MISSING or key.default is None:
            yield f"#{key.name} ="
        else:
            yield f"#{key.name} = {literal(key.default)}"


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text.replace("`", ""), WIDTH - 2):
        yield f"# {line}"
