"""The code blocks of Markdown pages, and the rule by which each is checked.

A block may stand below a comment that says how it is checked:

``<!-- run: script -->``    a whole program, which ends by itself; the rule of Python without a comment
``<!-- run: server -->``    a whole program, which serves on port 8000 until a signal
``<!-- run: servers -->``   the same, twice, with PORT=8000 and PORT=8001 and a Redis at REDIS_URL
``<!-- run: client -->``    a whole program, which connects to the server above it, or else to the example's
``<!-- run: fragment -->``  lines for a service that runs: in Python with ``service``, in JavaScript with
                            ``alice``, ``bob``, ``connect`` and ``call``; Python names last for the page
``<!-- run: tests -->``     a module of pytest
``<!-- run: file x.py -->`` a module that is run, and that later blocks can import
``<!-- run: config -->``    a file for `chat-service serve`; the rule of TOML without a comment
``<!-- page: name -->``     a page of HTML, which tests/browser opens; the rule of HTML
``<!-- output -->``         what the block above has printed
``<!-- no run: why -->``    is parsed, not run
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^(?P<indent>\s*)(?P<fence>`{3,}|~{3,})(?P<info>.*)$")
_RULE = re.compile(r"^\s*<!--\s*(?P<rule>run|no run|output)\s*(?::\s*(?P<detail>.*?))?\s*-->\s*$")

#: The rules that a language knows; the first is that of a block without a comment.
RULES: dict[str, tuple[str, ...]] = {
    "python": ("script", "server", "servers", "client", "fragment", "tests", "file"),
    "javascript": ("client", "fragment"),
    "sh": ("shell",),
    "text": ("text", "output"),
    "html": ("page",),
    "toml": ("config",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One code block. ``rule`` is what the comment says, "" without one; ``line`` is that of the fence."""

    path: str
    line: int
    language: str
    rule: str
    detail: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"

    @property
    def how(self) -> str:
        """How to check the block. Raises ``LookupError`` when no rule says so."""
        if self.rule == "no run":
            if not self.detail:
                raise LookupError(f"{self}: `no run` needs a reason")
            return "parse"
        known = RULES.get(self.language, ())
        detail = self.detail.partition(" ")[0]
        wanted = "output" if self.rule == "output" else detail if self.rule else "".join(known[:1])
        if wanted not in known:
            raise LookupError(f"{self}: no rule {wanted!r} for a block of {self.language or 'no language'}")
        return wanted


def read_blocks(path: str, text: str) -> list[Block]:
    """The blocks of one page. Directives, whose info is in braces, are not code."""
    blocks: list[Block] = []
    lines = text.splitlines()
    position = 0
    while position < len(lines):
        opening = _FENCE.match(lines[position])
        if opening is None:
            position += 1
            continue
        start, fence = position, opening["fence"]
        position += 1
        while position < len(lines) and lines[position].strip() != fence:
            position += 1
        info = opening["info"].strip()
        if not info.startswith("{"):
            indent = len(opening["indent"])
            rule = _RULE.match(_above(lines, start))
            blocks.append(
                Block(
                    path=path,
                    line=start + 1,
                    language=info.partition(" ")[0],
                    rule=rule["rule"] if rule else "",
                    detail=(rule["detail"] or "") if rule else "",
                    text="".join(line[indent:] + "\n" for line in lines[start + 1 : position]),
                )
            )
        position += 1
    return blocks


def _above(lines: list[str], position: int) -> str:
    """The nearest line above that is not empty."""
    return next((line for line in reversed(lines[:position]) if line.strip()), "")


def pages() -> list[Path]:
    """The pages whose blocks are checked."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(path: Path) -> list[Block]:
    return read_blocks(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
