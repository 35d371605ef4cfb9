"""Checks whether the web chat and the console are built and up to date, and builds them for distributions.

As a build hook of hatchling it ensures that wheels and sdists contain the pages. That requires Node.js in a
checkout; a source distribution contains the built pages. `python tools/webchat.py` prints the fingerprint of
the sources.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Where the pages and the client for other pages are built, each with a file of it.
TARGETS = {
    Path("chat_service/demo/static"): "index.html",
    Path("chat_service/http_api/console"): "index.html",
    Path("chat_service/transports/socketio/browser"): "client.js",
}
#: The file with the fingerprint of the sources from which a page was built.
STAMP = "sources.txt"
#: Directories under clients/ that do not contain sources of the pages.
OTHERS = {"node_modules", "dist", "tests"}
#: The oldest major version of Node.js.
NODE = 18


def fingerprint(root: Path) -> str | None:
    """A hash of all sources of the pages, None without sources."""
    clients = root / "clients"
    if not clients.is_dir():
        return None
    files = [path for path in clients.rglob("*") if path.is_file() and not OTHERS & set(path.parts)]
    digest = hashlib.sha256()
    for path in [root / "package.json", root / "package-lock.json", *sorted(files)]:
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_built(root: Path) -> bool:
    """Whether the pages are present and were built from the present sources, if any."""
    folders = [root / target for target in TARGETS]
    if not all((root / target / name).is_file() for target, name in TARGETS.items()):
        return False
    wanted = fingerprint(root)
    stamps = [folder / STAMP for folder in folders]
    return wanted is None or all(stamp.is_file() and stamp.read_text().strip() == wanted for stamp in stamps)


def why_not_buildable(root: Path) -> str | None:
    """What is missing to build the pages, or None."""
    if fingerprint(root) is None:
        return "its sources, the folder clients, are missing"
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return f"it is built by Node.js {NODE} or newer with npm, which is not installed"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = version.strip().removeprefix("v").partition(".")[0]
    if not major.isdecimal() or int(major) < NODE:
        return f"it is built by Node.js {NODE} or newer, and this is {version.strip() or 'none'}"
    return None


def build(root: Path) -> None:
    """Build the pages. Raises ``CalledProcessError``."""
    npm = shutil.which("npm") or "npm"
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    # npm writes this file once everything in the lock file is installed.
    installed, lock = root / "node_modules" / ".package-lock.json", root / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run([npm, "ci", "--ignore-scripts", *quiet], cwd=root, check=True)
    subprocess.run([npm, "run", "--silent", "build"], cwd=root, check=True)
    for target in TARGETS:
        (root / target / STAMP).write_text(f"{fingerprint(root)}\n")


class WebChatHook(BuildHookInterface[Any]):
    """Runs before a wheel or source distribution is built. An editable install needs no pages."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if version == "editable" or is_built(root):
            return
        why = why_not_buildable(root)
        if why is None:
            try:
                build(root)
            except subprocess.CalledProcessError as error:
                why = f"`{' '.join(map(str, error.cmd[1:]))}` of npm failed, see above"
        if why is not None:
            self.app.abort(f"a distribution contains the web chat, and the web chat cannot be built: {why}")


if __name__ == "__main__":
    sys.stdout.write(f"{fingerprint(Path.cwd())}\n")
