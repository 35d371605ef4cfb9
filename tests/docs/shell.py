"""Checks of shell blocks, which are not run: every command, target and file that they name must exist."""

import itertools
import re
import shlex

import click

from chat_service.cli import app
from tests.docs.blocks import ROOT

#: Commands whose arguments are not looked at.
_FREE = {"cd", "curl", "export", "git", "npm", "tail"}


def shell_problems(text: str) -> list[str]:
    """One line for each command that cannot work in a checkout of the project."""
    joined = text.replace("\\\n", " ")
    commands = [part for line in joined.splitlines() for part in re.split(r"&&| \| ", line.split("#")[0])]
    return [problem for command in commands if (problem := _problem(shlex.split(command)))]


def _problem(words: list[str]) -> str:
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words = words[1:]
    if not words:
        return ""
    program, arguments = words[0], words[1:]
    name = program.rpartition("/")[2]
    if program.startswith(".venv/bin/"):
        program = name
    if "/" in program:
        return "" if (ROOT / program).is_file() else f"there is no {program}"
    match name:
        case "make":
            return _missing_targets(arguments)
        case "python" | "python3" | "node" | "bash" | "pip" | "pytest":
            return _missing_files(arguments)
        case "chat-service":
            return _wrong_options(arguments)
        case _:
            return "" if name in _FREE else f"nothing is known of the command {name}"


def _wrong_options(arguments: list[str]) -> str:
    name, *rest = arguments
    command = app.get_command(click.Context(app), name)
    if command is None:
        return f"chat-service has no command {name}"
    # What follows is another program.
    words = list(itertools.takewhile(lambda word: word not in ("|", ">", ">>", "&"), rest))
    try:
        command.make_context(name, words, resilient_parsing=True)
    except click.UsageError as error:
        return f"chat-service {name}: {error.format_message()}"
    return ""


def _missing_targets(arguments: list[str]) -> str:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    unknown = [word for word in arguments if "=" not in word and word not in targets]
    return f"make has no target {', '.join(unknown)}" if unknown else ""


def _missing_files(arguments: list[str]) -> str:
    named = [word for word in arguments if re.search(r"\.(py|js|sh|txt|toml)$", word)]
    missing = [word for word in named if not (ROOT / word).is_file()]
    return f"there is no {', '.join(missing)}" if missing else ""
