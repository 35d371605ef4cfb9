"""Metadata for package indexes: project URLs, and a README whose links work there."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from chat_service.version import __version__

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://forge.example/team/chat"


@pytest.fixture(scope="module")
def metadata() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metadata_hook", ROOT / "tools/metadata.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://forge.example/team/chat.git\n", ADDRESS),
        ("https://forge.example/team/chat/", ADDRESS),
        ("git@forge.example:team/chat.git", ADDRESS),
        ("ssh://git@forge.example/team/chat.git", ADDRESS),
        ("/srv/git/chat", None),
        ("http://forge.example/team/chat", None),
        ("https://user:secret@forge.example/team/chat", None),
        ("https://forge.example", None),
        ("", None),
    ],
)
def test_only_public_addresses_are_used(metadata: ModuleType, remote: str, address: str | None) -> None:
    assert metadata.public_address(remote) == address


def test_links_become_absolute(metadata: ModuleType) -> None:
    text = "[a](docs/a.md#b) ![c](docs/c.png) [d](https://x.example)\n"
    text += "```md\n[g](h.md)\n```\n[i](LICENSE) [e](#f)\n"
    assert metadata.with_absolute_links(text, ADDRESS, "1.2") == (
        f"[a]({ADDRESS}/blob/v1.2/docs/a.md#b) ![c]({ADDRESS}/raw/v1.2/docs/c.png) [d](https://x.example)\n"
        f"```md\n[g](h.md)\n```\n[i]({ADDRESS}/blob/v1.2/LICENSE) [e](#f)\n"
    )


def test_the_metadata_of_this_project() -> None:
    env = {**os.environ, "CHAT_REPOSITORY_URL": ADDRESS}
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "metadata"],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["version"] == __version__
    assert {*told["urls"]} == {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert all(url.startswith(ADDRESS) for url in told["urls"].values())
    assert "Programming Language :: Python :: 3.14" in told["classifiers"]
    text = told["readme"]["text"]
    assert told["readme"]["content-type"] == "text/markdown"
    outside = "".join(text.split("```")[::2])
    links = re.findall(r"\]\(([^)\s]+)\)", outside)
    assert len(links) > 20 and all(link.startswith(("https://", "#")) for link in links)
    # All of them lead to files that exist.
    for link in links:
        if found := re.fullmatch(rf"{ADDRESS}/(?:blob|raw)/v{re.escape(__version__)}/([^#]+)(?:#.*)?", link):
            assert (ROOT / found[1]).exists(), link


def test_an_address_that_cannot_be_used_is_refused(
    metadata: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_REPOSITORY_URL", "forge.example/team")
    with pytest.raises(ValueError, match="CHAT_REPOSITORY_URL"):
        metadata.repository(ROOT)


def test_without_an_address_there_are_no_urls(
    metadata: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CHAT_REPOSITORY_URL", raising=False)
    assert metadata.repository(tmp_path) is None
