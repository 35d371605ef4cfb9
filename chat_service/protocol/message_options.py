"""Types of the options with which a message refers to another one."""

from typing import Any

from chat_service.protocol.arguments import LIMIT, ArgumentType, Limits
from chat_service.protocol.values import is_clean_text

#: Maximum number of characters of a reaction.
MAX_REACTION_LENGTH = 64


def _is_reaction(value: Any, limits: Limits) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_REACTION_LENGTH and is_clean_text(value)


TARGET_ID = ArgumentType(
    name="id of another message",
    doc="a message id, at least 1",
    python="int",
    typescript="number",
    accepts=LIMIT.accepts,
)

REACTION_TEXT = ArgumentType(
    name="reaction",
    doc=f"a string of 1 to {MAX_REACTION_LENGTH} characters, such as an emoji",
    python="str",
    typescript="string",
    accepts=_is_reaction,
)
