"""The Lua scripts, one file each in ``lua/``, which include shared code from ``lua/lib/``.

``-- flags: allow-oom`` marks a script that frees memory or needs none, so it may run when Redis is out of
memory.
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
    """The text of a script as sent to Redis, and its SHA1 digest."""

    name: str
    text: str
    digest: str


@cache
def load(name: str) -> Script:
    """Read the script ``lua/<name>.lua``. A line ``-- include: x`` inserts ``lua/lib/x.lua``."""
    folder = files(__package__) / "lua"
    text = (folder / f"{name}.lua").read_text("utf-8")
    text = _INCLUDE.sub(lambda match: (folder / "lib" / f"{match[1]}.lua").read_text("utf-8"), text)
    flags = _FLAGS.search(text)
    if flags is not None:
        text = f"#!lua flags={flags[1]}\n{text}"
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def load_all() -> None:
    """Read all scripts now, since the process may run out of file descriptors later."""
    for file in (files(__package__) / "lua").iterdir():
        if file.name.endswith(".lua"):
            load(file.name.removesuffix(".lua"))
