"""The previous version, taken from the history of a git checkout, to run alongside this one."""

import io
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: The last commit of the earlier version.
EARLIER = "afc56c0d3030d9658efe824a2363ace1572e1a25"
#: The package, and the test programs that run it.
FILES = ("chat_service", "tests/redis/instance.py", "tests/chaos/__init__.py", "tests/chaos/instance.py")


class NoHistory(Exception):
    """There is no earlier version, because this is not a git checkout."""


def is_there() -> bool:
    """Whether the earlier version is available."""
    found = subprocess.run(["git", "cat-file", "-e", EARLIER], cwd=ROOT, capture_output=True, check=False)
    return found.returncode == 0


def unpack(folder: Path) -> Path:
    """Write the files of the earlier version to a folder, and return it.

    Raises ``NoHistory``, and ``RuntimeError`` for a checkout without that commit.
    """
    if not (ROOT / ".git").exists():
        raise NoHistory("the earlier version is in the history of a git checkout, which is not here")
    archive = subprocess.run(["git", "archive", EARLIER, *FILES], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        raise RuntimeError(f"the history lacks {EARLIER}: fetch all of it")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder
