"""Distributions built from a clean checkout contain the web chat, or the build fails."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.test_build import ROOT, run
from tools import webchat

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PAGE = "chat_service/demo/static/index.html"
PAGES = {
    PAGE,
    "chat_service/http_api/console/index.html",
    "chat_service/transports/socketio/browser/client.js",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a clone has, with the changes of this working tree, and the packages of npm as they are here."""
    target = tmp_path / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    shutil.copytree(ROOT / "node_modules", target / "node_modules", symlinks=True)
    return target


def build(kind: str, source: Path, out: Path, *, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Build a wheel or a sdist, in an environment without this test's own settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV", "VIRTUAL_ENV"))}
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        f"--{kind}",
        "--outdir",
        str(out),
        str(source),
    ]
    return subprocess.run(
        command, cwd=out.parent, env={**env, "PATH": path or env["PATH"]}, capture_output=True, text=True
    )


def bin_folder(folder: Path, node: str | None = None) -> str:
    """A PATH on which there is nothing, or a node that says that it is of some version."""
    folder.mkdir()
    for name in ("node", "npm") if node else ():
        program = folder / name
        program.write_text(f"#!/bin/sh\necho {node}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(folder)


def names_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_from_a_clean_checkout(checkout: Path, tmp_path: Path) -> None:
    assert not (checkout / PAGE).exists()
    done = build("sdist", checkout, tmp_path / "dist")
    assert done.returncode == 0, done.stdout + done.stderr
    [sdist] = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    [unpacked] = (tmp_path / "unpacked").iterdir()
    assert all((unpacked / page).is_file() for page in PAGES) and not (unpacked / "clients/js/dist").exists()
    # It brings the page along: nothing is needed to make a wheel of it.
    done = build("wheel", unpacked, tmp_path / "wheels", path=bin_folder(tmp_path / "bin"))
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = (tmp_path / "wheels").glob("*.whl")
    assert {*PAGES, "chat_service/demo/static/icon.svg"} <= names_of(wheel)
    # And a page that is older than its sources is built again.
    source = checkout / "clients/web/src/index.html"
    source.write_text(source.read_text().replace("<title>", "<title>Newer "))
    assert not webchat.is_built(checkout)
    done = build("wheel", checkout, tmp_path / "newer")
    assert done.returncode == 0 and webchat.is_built(checkout), done.stdout + done.stderr
    with zipfile.ZipFile(next((tmp_path / "newer").glob("*.whl"))) as archive:
        assert b"<title>Newer " in archive.read(PAGE)


@pytest.mark.parametrize(
    ("node", "missing", "why"),
    [
        (None, "", "it is built by Node.js 18 or newer with npm, which is not installed"),
        ("v16.20.2", "", "it is built by Node.js 18 or newer, and this is v16.20.2"),
        (None, "clients", "its sources, the folder clients, are missing"),
    ],
)
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_without_the_web_chat_there_is_no_distribution(
    tmp_path: Path, kind: str, node: str | None, missing: str, why: str
) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "package.json", "package-lock.json"):
        shutil.copy2(ROOT / name, checkout)
    for name in ("chat_service", "clients/web/src", "tools"):
        if not missing or not name.startswith(missing):
            shutil.copytree(
                ROOT / name,
                checkout / name,
                ignore=shutil.ignore_patterns("static", "console", "browser", "__pycache__"),
            )
    done = build(kind, checkout, tmp_path / "dist", path=bin_folder(tmp_path / "bin", node))
    assert done.returncode != 0
    said = f"a distribution contains the web chat, and the web chat cannot be built: {why}"
    assert said in done.stdout + done.stderr, done.stdout + done.stderr
    assert not list((tmp_path / "dist").glob("chat_service*"))


def test_the_fingerprint_is_that_of_the_sources_alone(tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json", "clients/web/src/a.ts", "clients/js/tests/b.mjs"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    before = webchat.fingerprint(tmp_path)
    for name in ("clients/js/tests/b.mjs", "clients/js/dist/c.js", "clients/web/node_modules/d/e.js", "f.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("changed")
    assert webchat.fingerprint(tmp_path) == before
    (tmp_path / "clients/web/src/a.ts").write_text("changed")
    assert webchat.fingerprint(tmp_path) != before
    assert webchat.fingerprint(tmp_path / "nowhere") is None


def test_the_login_example_runs_after_the_set_up_that_the_docs_name(checkout: Path) -> None:
    text = (checkout / "docs/examples.md").read_text()
    [block] = [block for block in text.split("```") if block.startswith("sh\npython3 -m venv")]
    *set_up, _ = block.removeprefix("sh\n").strip().splitlines()
    for line in set_up:
        run("sh", "-c", line.replace("python3 ", f"{sys.executable} "), cwd=checkout)
    program = subprocess.Popen(
        [checkout / ".venv/bin/python", "-u", "example/jwt_login.py"],
        cwd=checkout, env={"PATH": os.environ["PATH"], "PORT": "0", "JWT_SECRET": "x" * 32},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert program.stdout is not None
    line = program.stdout.readline()
    program.send_signal(signal.SIGINT)
    out, errors = program.communicate(timeout=60)
    assert "listens at http://127.0.0.1:" in line, line + out + errors
    assert program.returncode == 0
