"""Documented install commands work from a checkout, and do not name unpublished packages."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: An install command, until what ends it in a text or a shell.
INSTALL = re.compile(
    r"(?:pip|pipx|uv|npm) (?:install|add) [^`\n;|&]*?(?=$|`|\)| #|  |; |[.,;:] |\"\))", re.MULTILINE
)


def texts() -> Iterator[Path]:
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "deploy/**/*",
        "example/*",
        "clients/*/README.md",
        "chat_service/**/*.py",
    ):
        yield from (path for path in ROOT.glob(pattern) if path.is_file() and "CHANGELOG" not in path.name)


def commands() -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(ROOT)), match[0].strip())
        for path in texts()
        for match in INSTALL.finditer(path.read_text("utf-8"))
    ]


COMMANDS = commands()


def test_they_are_found() -> None:
    files = {file for file, _ in COMMANDS}
    assert {"README.md", "docs/quickstart.md", "docs/examples.md", "deploy/Dockerfile"} <= files


@pytest.mark.parametrize(("file", "command"), COMMANDS, ids=lambda value: str(value)[:60])
def test_install_commands(file: str, command: str) -> None:
    words = [word.strip("'\"") for word in command.split()[2:]]
    for word in words:
        assert not re.match(r"(chat[-_]service|@chat-service)(\W|$)", word) or "/" in word, (
            f"{file}: {command}: it is on no index"
        )
        # The checkout, with extras that exist; from the tutorial it is next to the reader's folder.
        extras = re.fullmatch(r"(?:\.|\./chat_service)\[([\w,]+)\]", word)
        if extras is not None:
            assert set(extras[1].split(",")) <= set(PROJECT["optional-dependencies"]), (file, command)
    if "-c" in words:
        constraints = words[words.index("-c") + 1].removeprefix("chat_service/")
        assert (ROOT / constraints).is_file(), (file, command)
