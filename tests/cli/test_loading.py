"""run: loading applications, and a one-line error for each failure."""

import textwrap
import uuid
from pathlib import Path
from typing import Any

import pytest

from chat_service import ChatService
from chat_service.cli.commands.run import load_service
from tests.cli.conftest import invoke

SOURCE = """
from chat_service import ChatService

service = ChatService(port=0)
number = 5

class Settings:
    service = service

def make():
    return ChatService(port=1)

def nothing():
    return None

def fails():
    raise RuntimeError("no database\\nat all")

async def later():
    return service

def misspelt():
    return ChatService(
        hooks={"on_conect": print}
    )

def with_argument(port):
    return service
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a module below the directory of the test, and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str = SOURCE) -> str:
        name = f"m{uuid.uuid4().hex}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        return name

    return write


def test_services_and_factories_are_loaded(module: Any, tmp_path: Path) -> None:
    name = module()
    service = load_service(f"{name}:service", str(tmp_path))
    assert isinstance(service, ChatService)
    assert load_service(f"{name}:Settings.service", str(tmp_path)) is service
    assert load_service(f"{name}:make", str(tmp_path)).options.port == 1


@pytest.mark.parametrize(
    ("attribute", "code", "message"),
    [
        ("servce", 3, "module {name} has no servce; did you mean service?"),
        ("x", 3, "module {name} has no x"),
        ("number", 3, "{name}:number is neither a ChatService nor a function that returns one: int"),
        ("nothing", 3, "{name}:nothing did not return a ChatService: NoneType"),
        ("fails", 3, "{name}:fails failed: RuntimeError: no database at all ({path}, line 17)"),
        (
            "misspelt",
            3,
            "{name}:misspelt failed: ConfigurationError: unknown hook on_conect; did you mean on_connect? "
            "({path}, line 23)",
        ),
        ("later", 3, "{name}:later is a coroutine function; use a plain function"),
        ("with_argument", 3, "{name}:with_argument failed: TypeError: with_argument() missing 1 required"),
        ("", 2, "expected MODULE:ATTRIBUTE, such as main:service, got {name}:"),
    ],
)
def test_invalid_attributes(module: Any, tmp_path: Path, attribute: str, code: int, message: str) -> None:
    name = module()
    result = invoke("run", f"{name}:{attribute}", "--app-dir", str(tmp_path))
    expected = message.format(name=name, path=tmp_path / f"{name}.py")
    assert result.exit_code == code
    assert result.stderr.startswith(f"chat-service: {expected}"), result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def broken(", "SyntaxError: '(' was never closed ({path}, line 1)"),
        (
            "import surely_no_module",
            "ModuleNotFoundError: No module named 'surely_no_module' ({path}, line 1)",
        ),
        ("\n1 / 0", "ZeroDivisionError: division by zero ({path}, line 2)"),
        (
            "from chat_service import ChatService\nservice = ChatService(prot=1)",
            "ConfigurationError: unknown option prot; did you mean port? ({path}, line 2)",
        ),
        (
            "import json\njson.loads('{{')",
            "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1) "
            "({path}, line 2)",
        ),
    ],
)
def test_modules_that_cannot_be_imported(module: Any, tmp_path: Path, source: str, message: str) -> None:
    name = module(source)
    result = invoke("run", f"{name}:service", "--app-dir", str(tmp_path))
    expected = (
        f"chat-service: module {name} cannot be imported: {message.format(path=tmp_path / f'{name}.py')}"
    )
    assert (result.exit_code, result.stderr[: len(expected)]) == (3, expected)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["surely_no_module", "surely.no.module", ".relative"])
def test_no_such_module(name: str, tmp_path: Path) -> None:
    result = invoke("run", f"{name}:service", "--app-dir", str(tmp_path))
    assert (result.exit_code, result.stderr) == (
        3,
        f"chat-service: there is no module {name} in {tmp_path} or on the Python path\n",
    )


def test_no_such_directory() -> None:
    result = invoke("run", "main:service", "--app-dir", "/nowhere")
    assert result.exit_code == 2 and "'/nowhere' does not exist" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "workers need a shared store, and a memory store lives in a"),
        ("store='redis'", "workers that share a port support only WebSocket"),
        ("store='redis', transport=InProcessTransport()", "workers need the Socket.IO transport, not "),
    ],
)
def test_workers_need_a_shared_store_and_websocket(
    module: Any, tmp_path: Path, options: str, message: str
) -> None:
    name = module(f"""
        from chat_service import ChatService
        from chat_service.testing import InProcessTransport
        service = ChatService(port=0, {options})
    """)
    result = invoke("run", f"{name}:service", "--app-dir", str(tmp_path), "--workers", "2")
    assert (result.exit_code, result.stderr.count("\n")) == (3, 1)
    assert result.stderr.startswith(f"chat-service: {message}")


@pytest.mark.covers("cli:typings")
def test_types_of_own_commands(module: Any, tmp_path: Path) -> None:
    name = module("""
        from chat_service import ChatService
        service = ChatService()
        bare = ChatService()
        service.command("pollVote", {"choice": "integer"})(lambda call, choice: choice)
    """)
    given = ("--app-dir", str(tmp_path))
    assert "pollVote(choice: number): unknown;" in invoke("typings", f"{name}:service", *given).stdout
    path = tmp_path / "written.py"
    result = invoke("typings", f"{name}:service", *given, "--language", "python", "--output", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "async def poll_vote(self, choice: int) -> Any:" in path.read_text()
    result = invoke("typings", f"{name}:bare", *given)
    message = f"chat-service: {name}:bare has no commands of its own: add them with service.command\n"
    assert (result.exit_code, result.stderr) == (3, message)
    result = invoke("typings", f"{name}:service", *given, "--output", str(tmp_path / "no" / "such.ts"))
    assert result.exit_code != 0 and result.stderr.count("\n") == 1


def test_reload_is_for_one_process() -> None:
    result = invoke("run", "main:service", "--reload", "--workers", "2")
    assert (result.exit_code, result.stderr) == (
        2,
        "chat-service: --reload and --workers cannot be combined\n",
    )
