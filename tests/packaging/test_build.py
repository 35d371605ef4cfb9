"""The built distributions: their contents, and that the wheel works in an empty environment."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # installs packages, perhaps over a slow network
]

START_AND_STOP = """
import asyncio
from chat_service import ChatService

async def main():
    async with ChatService(port=0, hooks={"on_connect": lambda s, i: "x"}):
        pass

asyncio.run(main())
print("stopped")
"""


#: Serves the web chat and prints the beginning of its page and of its script.
SERVE_PAGE = """
import asyncio, re, urllib.request
from chat_service.demo import Demo

def fetch(address):
    with urllib.request.urlopen(address) as response:
        return response.read().decode()

async def main():
    async with Demo("127.0.0.1", 0) as demo:
        address = f"http://127.0.0.1:{demo.port}/"
        page = await asyncio.to_thread(fetch, address)
        script = re.search(r'src="([^"]+)"', page)[1]
        print(page[:15], len(await asyncio.to_thread(fetch, address + script)) > 10_000)

asyncio.run(main())
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command in an environment free of what this test run has set, and return its output."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV", "VIRTUAL_ENV"))}
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with wheel and sdist: the one that `make test` has just made, or else a new one."""
    made = os.environ.get("CHAT_SERVICE_DIST")
    if made:
        return Path(made)
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return out


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("chat_service-*.whl")
    return found


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    (found,) = dist.glob("chat_service-*.tar.gz")
    return found


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel and its dependencies, and nothing else."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", venv, cwd=ROOT)
    python = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "-q", "-c", "constraints.txt", wheel, cwd=ROOT)
    run(*pip, "check", cwd=ROOT)
    return python


def sources() -> set[str]:
    """All files of the package, as the names they should have in the distributions."""
    files = (p for p in (ROOT / "chat_service").rglob("*") if p.is_file())
    return {p.relative_to(ROOT).as_posix() for p in files if "__pycache__" not in p.parts}


def test_wheel_has_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name for name in names if ".dist-info/" not in name} == sources()
    assert {
        "chat_service/py.typed",
        "chat_service/demo/static/index.html",
        "chat_service/http_api/console/index.html",
        "chat_service/transports/socketio/browser/client.js",
        "chat_service/transports/socketio/browser/client.js.map",
        "chat_service/transports/socketio/browser/client.d.ts",
    } <= set(names)
    assert not [name for name in names if "tests" in name.split("/") or "/test_" in name]
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]


def test_sdist_has_what_is_needed_to_build_and_test(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sources() <= names
    assert {"pyproject.toml", "constraints.txt", "LICENSE", "tests/packaging/test_build.py"} <= names
    assert {"clients/js/src/client.ts", "clients/bundle.mjs", "package-lock.json"} <= names
    assert not [name for name in names if name.startswith((".venv", "node_modules", "build", ".git/"))]


def test_installed_wheel_is_the_one_imported(installed: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.metadata, chat_service; "
        "print(chat_service.__file__); "
        "print(chat_service.__version__ == importlib.metadata.version('chat-service'))"
    )
    file, same_version = run(installed, "-c", code, cwd=tmp_path).split("\n")[:2]
    assert Path(file).is_relative_to(installed.parent.parent)
    assert same_version == "True"


def test_installed_wheel_starts_and_stops_a_service(installed: Path, tmp_path: Path) -> None:
    # -W error: a start without warnings, and none about things left open at the end.
    output = run(installed, "-W", "error", "-c", START_AND_STOP, cwd=tmp_path)
    assert output.splitlines()[-1] == "stopped"


def test_installed_wheel_serves_the_web_chat(installed: Path, tmp_path: Path) -> None:
    assert run(installed, "-W", "error", "-c", SERVE_PAGE, cwd=tmp_path) == "<!doctype html> True\n"


def test_installed_wheel_has_the_command_line(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "chat.toml").write_text('[login]\ntype = "name"\n')
    script = installed.with_name("chat-service")
    assert run(script, "--version", cwd=tmp_path).startswith("chat-service ")
    assert "memory: lost when its process ends" in run(script, "check", "--config", "chat.toml", cwd=tmp_path)
    # Everything is importable without the extras.
    imports = "import pkgutil, chat_service.cli.commands as c; "
    imports += "[__import__(f'{c.__name__}.{m.name}') for m in pkgutil.iter_modules(c.__path__)]; "
    run(installed, "-c", imports + "import chat_service.cli.commands.recover", cwd=tmp_path)
