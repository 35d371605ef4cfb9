"""What a browser loads to open the web chat stays small, and large parts are not among it."""

import gzip
import re
from pathlib import Path

from chat_service.demo.site import STATIC

#: Compressed, in bytes: page, style sheet, scripts, icon, and the font of Latin letters.
BUDGET = 150_000

LINKED = re.compile(r'(?:href|src)="([^"]+)"')
IMPORTED = re.compile(r'(?:from|import)\s*"\./([^"]+)"')


def compressed(path: Path) -> int:
    body = path.read_bytes()
    # Fonts are compressed already.
    return len(body) if path.suffix == ".woff2" else len(gzip.compress(body, 6))


def first_load() -> dict[str, int]:
    """The files that the page asks for by itself, with their sizes."""
    index = STATIC / "index.html"
    names = set(LINKED.findall(index.read_text()))
    [font] = STATIC.glob("inter-latin-wght-normal-*.woff2")
    waiting = [name for name in names if name.endswith(".js")]
    while waiting:
        for name in set(IMPORTED.findall((STATIC / waiting.pop()).read_text())) - names:
            names.add(name)
            waiting.append(name)
    return {name: compressed(STATIC / name) for name in sorted({"index.html", font.name, *names})}


def test_the_first_load_is_within_its_budget() -> None:
    sizes = first_load()
    assert any(name.startswith("app-") and name.endswith(".js") for name in sizes)
    assert any(name.endswith(".css") for name in sizes)
    assert sum(sizes.values()) < BUDGET, sizes


def test_what_the_scripts_need_at_once_is_asked_for_by_the_page() -> None:
    """Otherwise opening the page would take another round trip."""
    linked = set(LINKED.findall((STATIC / "index.html").read_text()))
    for name in first_load():
        if name.endswith(".js"):
            assert set(IMPORTED.findall((STATIC / name).read_text())) <= linked, name
