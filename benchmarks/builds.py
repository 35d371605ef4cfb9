"""Builds the servers that are written in compiled languages, if their compilers are installed."""

import shutil
import subprocess
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
#: Programs, each in a folder named like its sources.
BUILT = Path(__file__).parents[1] / "build" / "benchmarks" / "peers"


class MissingError(Exception):
    """Something that a server needs is not installed. The text says what."""


def program(script: str) -> list[str]:
    """The command that starts a server: a script in ``peers``, or a folder with the sources of a program.

    A program is built if its sources are newer. Raises ``MissingError``, or ``CalledProcessError`` if it
    cannot be built.
    """
    path = PEERS / script
    if (path / "Cargo.toml").exists():
        return [str(_built(path, "cargo", "release/room-server"))]
    if (path / "go.mod").exists():
        return [str(_built(path, "go", "room-server"))]
    return [_found("node"), "--expose-gc", str(path)]


def _found(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise MissingError(f"{name} is not installed")
    return found


def _built(path: Path, compiler: str, name: str) -> Path:
    target = BUILT / path.name
    result = target / name
    newest = max(file.stat().st_mtime for file in path.rglob("*") if file.is_file())
    if result.exists() and result.stat().st_mtime >= newest:
        return result
    commands = {
        "cargo": ["build", "--quiet", "--release", "--target-dir", str(target)],
        "go": ["build", "-o", str(result), "."],
    }
    found = _found(compiler)
    print(f"building {path.name} with {compiler} ...", flush=True)
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run([found, *commands[compiler]], cwd=path, check=True)  # noqa: S603 - our own sources
    result.touch()
    return result
