"""Metadata for package indexes: project URLs, and a README without relative links.

Both depend on the address of the repository: that of the environment variable CHAT_REPOSITORY_URL, or else of
the remote `origin` if that is a public one. Without an address there are no URLs, and the README keeps its
links, which then work in a checkout only.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

#: A link or an image of Markdown to a file of the repository: `](path)` or `](path#heading)`.
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<path>(?![a-z]+:|#)[^)\s]+)\)")
_FENCE = re.compile(r"^```", re.MULTILINE)
_SSH = re.compile(r"(?:ssh://)?git@(?P<host>[\w.-]+)[:/](?P<path>[\w./-]+)")


def public_address(remote: str) -> str | None:
    """The https address of a repository, without `.git`; None for a path, one with a login, or the like."""
    remote = remote.strip()
    if found := _SSH.fullmatch(remote):
        remote = f"https://{found['host']}/{found['path']}"
    if not re.fullmatch(r"https://[\w.-]+(?:/[\w.~-]+)+/?", remote):
        return None
    return remote.rstrip("/").removesuffix(".git")


def repository(root: Path) -> str | None:
    """The address of the repository, None if it has none. Raises ``ValueError`` for an unusable one."""
    if given := os.environ.get("CHAT_REPOSITORY_URL"):
        address = public_address(given)
        if address is None:
            raise ValueError(f"CHAT_REPOSITORY_URL: expected https://HOST/OWNER/NAME, got {given}")
        return address
    if not (root / ".git").exists():
        # Otherwise git could find a repository around this folder.
        return None
    try:
        done = subprocess.run(
            ["git", "config", "--get", "remote.origin.url"],
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:
        return None
    return public_address(done.stdout)


def with_absolute_links(text: str, address: str, version: str) -> str:
    """The README with links to the files of this version. Code blocks stay as they are."""

    def absolute(found: re.Match[str]) -> str:
        kind = "raw" if found["image"] else "blob"
        return f"{found['image']}[{found['text']}]({address}/{kind}/v{version}/{found['path']})"

    parts = _FENCE.split(text)
    # Every other part is inside a fence.
    return "```".join(part if number % 2 else _LINK.sub(absolute, part) for number, part in enumerate(parts))


def urls(address: str, version: str) -> dict[str, str]:
    """The project URLs, by the labels that package indexes know."""
    files = f"{address}/blob/v{version}"
    return {
        "Homepage": address,
        "Documentation": f"{files}/docs/index.md",
        "Source": address,
        "Issues": f"{address}/issues",
        "Changelog": f"{files}/CHANGELOG.md",
    }


class Metadata(MetadataHookInterface):
    """The hook of hatchling."""

    def update(self, metadata: dict[str, Any]) -> None:
        root = Path(self.root)
        text = (root / "README.md").read_text("utf-8")
        version = re.search(
            r'__version__[^"]*"([^"]+)"', (root / "chat_service/version.py").read_text("utf-8")
        )
        if version is None:
            raise ValueError("chat_service/version.py: no version found")
        address = repository(root)
        if address is not None:
            text = with_absolute_links(text, address, version[1])
            metadata["urls"] = urls(address, version[1])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
