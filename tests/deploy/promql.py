"""Extracts metrics and labels from PromQL expressions, without evaluating them."""

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""\s+
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<duration>\[[^\]]*\])
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){},=<>])""",
    re.VERBOSE,
)
_FUNCTIONS = {"rate", "increase", "sum", "max", "min", "avg", "histogram_quantile", "vector"}
_WORDS = {"or", "and", "unless"}


@dataclass
class Names:
    """``metrics``: each with the labels of its selector. ``grouped``: labels of all ``by`` clauses."""

    metrics: dict[str, set[str]] = field(default_factory=dict)
    grouped: set[str] = field(default_factory=set)


def names_in(expression: str) -> Names:
    """Raises ``ValueError`` for anything else."""
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            raise ValueError(f"cannot read {expression[position:]!r}")
        position = match.end()
        if match.lastgroup:
            tokens.append((match.lastgroup, match[0]))
    open_signs: list[str] = []
    found = Names()
    index = 0
    while index < len(tokens):
        kind, text = tokens[index]
        following = tokens[index + 1][1] if index + 1 < len(tokens) else ""
        if kind == "name" and text == "by":
            end = tokens.index(("sign", ")"), index)
            found.grouped |= {name for kind, name in tokens[index + 2 : end] if kind == "name"}
            index = end
        elif kind == "name" and text in _FUNCTIONS and following in ("(", "by"):
            pass
        elif kind == "name" and text not in _WORDS:
            labels = found.metrics.setdefault(text, set())
            if following == "{":
                end = tokens.index(("sign", "}"), index)
                labels |= {
                    name
                    for (kind, name), (_, after) in zip(tokens[index:end], tokens[index + 1 :], strict=False)
                    if kind == "name" and after in ("=", "!=", "=~", "!~")
                }
                index = end
        elif text in "({":
            open_signs.append(text)
        elif text in ")}" and (not open_signs or open_signs.pop() != {")": "(", "}": "{"}[text]):
            raise ValueError(f"{text} is not opened in {expression!r}")
        index += 1
    if open_signs:
        raise ValueError(f"{open_signs} is not closed in {expression!r}")
    return found
