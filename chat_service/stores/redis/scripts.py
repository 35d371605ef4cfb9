"""The Lua scripts: one file each in ``lua/``, with the chunks of ``lua/lib/`` that they include.

A line ``-- flags: allow-oom`` lets a script run in a full Redis: one that frees memory, or takes none.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_INCLUDE = re.compile(r"^-- include: (\w+)\n", re.MULTILINE)
_FLAGS = re.compile(r"^-- flags: ([\w,-]+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A script as Redis gets it, and its SHA1 digest."""

    name: str
    text: str
    digest: str


@cache
def load(name: str) -> Script:
    """Read the script ``lua/<name>.lua``; a line ``-- include: x`` stands for ``lua/lib/x.lua``."""
    folder = files(__package__) / "lua"
    text = (folder / f"{name}.lua").read_text("utf-8")
    text = _INCLUDE.sub(lambda match: (folder / "lib" / f"{match[1]}.lua").read_text("utf-8"), text)
    flags = _FLAGS.search(text)
    if flags is not None:
        text = f"#!lua flags={flags[1]}\n{text}"
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def load_all() -> None:
    """Read every script, so that none is missing when this process can open no more files."""
    for file in (files(__package__) / "lua").iterdir():
        if file.name.endswith(".lua"):
            load(file.name.removesuffix(".lua"))
