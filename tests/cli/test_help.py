"""Help texts, completion, usage errors, and a start without unneeded imports."""

import asyncio
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from chat_service import __version__
from chat_service.cli import app, parameters
from chat_service.cli.app import SECTIONS
from chat_service.cli.failures import CliError, ExitCode, describe
from chat_service.cli.parameters import TeachingCommand, complete_rooms
from chat_service.errors import ChatServiceError, ConfigurationError, StoreTimeoutError
from tests.cli.conftest import Site, invoke
from tests.support.patience import PATIENCE

NAMES = [name for names in SECTIONS.values() for name in names]
#: Libraries that help has no use for.
HEAVY = (
    "aiohttp",
    "hiredis",
    "jwt",
    "matplotlib",
    "msgpack",
    "prometheus_client",
    "redis",
    "rich",
    "socketio",
)


def _command(name: str) -> TeachingCommand:
    found = app.get_command(click.Context(app), name)
    assert isinstance(found, TeachingCommand)
    return found


def test_the_help_names_every_command() -> None:
    shown = invoke("--help").stdout
    for title, names in SECTIONS.items():
        assert f"{title}:\n" in shown
        for name in names:
            assert re.search(rf"^  {name}  +\w", shown, re.MULTILINE), name
    assert invoke("--version").stdout == f"chat-service {__version__}\n"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_teaches(name: str) -> None:
    shown = invoke(name, "-h")
    assert shown.exit_code == 0
    text, _, examples = shown.stdout.partition("Examples:\n")
    assert f"chat-service {name}" in examples
    for option in _command(name).params:
        if isinstance(option, click.Option):
            assert option.help and option.help.endswith((".", "]")), option.name
            assert option.opts[0] in text


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_commands(name: str) -> None:
    """The options of every example exist."""
    for line in _command(name).examples.strip().splitlines():
        words = shlex.shlex(line.strip(), posix=True, punctuation_chars=True)
        words.whitespace_split = True
        for is_operator, part in itertools.groupby(words, lambda word: set(word) <= set("|&;<>()")):
            arguments = list(part)
            if is_operator or "chat-service" not in arguments:
                continue
            _, called, *rest = arguments[arguments.index("chat-service") :]
            assert _command(called).make_context(called, rest, resilient_parsing=True)


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["romms"], "There is no such command: romms. Did you mean rooms? Try: chat-service --help"),
        (["xyzzy"], "There is no such command: xyzzy. Try: chat-service --help"),
        (["rooms", "--jsn"], "No such option '--jsn'. Did you mean '--json'? Try: chat-service rooms --help"),
        (["tail"], "Missing argument 'ROOM'. Try: chat-service tail --help"),
        (["rooms", "--limit", "0"], "Invalid value for '--limit': 0 is not in the range x>=1."),
        (["rooms", "--sentinel", "x"], "--sentinel: expected HOST:PORT, got x"),
    ],
)
def test_usage_errors(args: list[str], line: str) -> None:
    result = invoke(*args)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(f"chat-service: {line}")


def test_without_a_command_the_help_is_shown() -> None:
    result = invoke()
    assert result.exit_code == 2 and result.stderr.startswith("Usage: chat-service [OPTIONS] COMMAND")


def test_help_loads_no_library() -> None:
    """All help there is, in one process that has loaded nothing else."""
    calls = [["--help"], ["--version"], ["completion", "bash"], *([name, "-h"] for name in NAMES)]
    code = (
        "import contextlib, io, json, sys\n"
        "from chat_service.cli import app\n"
        "codes = []\n"
        f"for args in {calls!r}:\n"
        "    try:\n"
        "        with contextlib.redirect_stdout(io.StringIO()):\n"
        "            app(args)\n"
        "    except SystemExit as end:\n"
        "        codes.append(int(end.code))\n"
        f"print(json.dumps([codes, sorted(set(sys.modules) & set({HEAVY!r}))]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[0] * len(calls), []]


def test_the_module_and_the_script_are_the_same() -> None:
    script = Path(sys.executable).with_name("chat-service")
    for command in ([sys.executable, "-m", "chat_service"], [str(script)]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"chat-service {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    script = invoke("completion", shell).stdout
    assert "_CHAT_SERVICE_COMPLETE" in script and "chat-service" in script


@pytest.mark.covers("cli:completion")
def test_completion_of_commands_in_bash() -> None:
    """The script is run by bash itself."""
    source = invoke("completion", "bash").stdout
    lines = (
        f"{source}\n"
        "COMP_WORDS=(chat-service in); COMP_CWORD=1\n"
        '_chat_service_completion chat-service; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", lines], capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.stdout.split() == ["instances"], done.stderr


@pytest.mark.redis
async def test_completion_of_rooms(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # Speed is not judged here.
    monkeypatch.setattr(parameters, "COMPLETION_TIMEOUT", PATIENCE)
    instance = await site.world.start()
    for name in ("alpha", "alps", "beta"):
        await instance.service.add_room(name)
    command = _command("tail")
    ctx = command.make_context("tail", list(site.options), resilient_parsing=True)
    names = await asyncio.to_thread(complete_rooms, ctx, command.params[0], "al")
    assert names == ["alpha", "alps"]
    elsewhere = command.make_context("tail", ["--url", "redis://127.0.0.1:1"], resilient_parsing=True)
    assert await asyncio.to_thread(complete_rooms, elsewhere, command.params[0], "al") == []


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (CliError(ExitCode.ADDRESS, "taken"), 5, "taken"),
        (ChatServiceError("noRoom", "x"), 6, "No such room x"),
        (ChatServiceError("notAllowed"), 1, "Action is not allowed"),
        (ConfigurationError("wrong"), 3, "wrong"),
        (StoreTimeoutError("away"), 4, "away"),
        (OSError(98, "Address already in use"), 5, "Address already in use"),
        (OSError(2, "No such file"), 1, "FileNotFoundError: [Errno 2] No such file"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 1, ""),
        (ValueError("one\ntwo"), 1, "ValueError: one two"),
        (click.FileError("x", "gone"), 1, "Could not open file 'x': gone"),
    ],
)
def test_exit_codes_and_lines(error: BaseException, code: int, text: str) -> None:
    assert describe(error) == (code, text)


def test_a_reader_that_closes_the_pipe() -> None:
    """No traceback when the output's pipe is closed."""
    command = [sys.executable, "-m", "chat_service", "completion", "bash"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(PATIENCE) in (0, 1)
    assert process.stderr.read() == b""
    process.stderr.close()
