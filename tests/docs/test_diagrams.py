"""The diagrams of docs/, which a directive of docs/_ext draws from text."""

import importlib.util
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT, pages


def load() -> Any:
    path = ROOT / "docs" / "_ext" / "diagrams.py"
    spec = importlib.util.spec_from_file_location("docs_diagrams", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


diagrams = load()
BLOCK = re.compile(r"^```\{(sequence|boxes)\} ([^\n]*)\n(.*?)^```$", re.M | re.S)
FOUND = [
    (path.relative_to(ROOT).as_posix(), *match.groups())
    for path in map(Path, pages())
    for match in BLOCK.finditer(path.read_text("utf-8"))
]


def draw(kind: str, title: str, text: str) -> ElementTree.Element:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    root = ElementTree.fromstring(getattr(diagrams, kind)(lines, title))
    svg = root.find("svg")
    assert svg is not None
    return svg


def test_there_are_diagrams() -> None:
    assert {kind for _, kind, _, _ in FOUND} == {"sequence", "boxes"} and len(FOUND) >= 8


@pytest.mark.parametrize(("page", "kind", "title", "text"), FOUND, ids=lambda value: value[:40])
def test_diagram_shows_all_of_its_text_inside_its_frame(page: str, kind: str, title: str, text: str) -> None:
    svg = draw(kind, title, text)
    assert svg.get("aria-label") == title
    _, _, width, height = map(float, str(svg.get("viewBox")).split())
    shown = [element.text or "" for element in svg.iter("text")]
    for line in text.splitlines():
        for part in re.split(r": | = |; |\[|\]", line.partition(": ")[2] if kind == "sequence" else ""):
            assert not part.strip() or any(part.strip() in words for words in shown), f"{page}: {part}"
    for element in svg.iter("text"):
        half = diagrams.text_width(element.text or "") / 2
        x, y = float(str(element.get("x"))), float(str(element.get("y")))
        assert x - half >= -1 and x + half <= width + 1 and 0 <= y <= height, f"{page}: {element.text}"


def test_arrows_lead_from_sender_to_recipient() -> None:
    svg = draw("sequence", "t", "Ann | Service | Bob\nAnn -> Service: one\nService --> Ann: two\n")
    first, second = [line for line in svg.iter("line") if line.get("class") in ("line", "answer")]
    assert float(str(first.get("x1"))) < float(str(first.get("x2")))
    assert float(str(second.get("x1"))) > float(str(second.get("x2")))
    assert (first.get("class"), second.get("class")) == ("line", "answer")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("sequence", "Ann | Bob\nAnn -> Carol: hello"),
        ("boxes", "[one] [two]\none two"),
        ("boxes", "[a]\na -> b"),
    ],
)
def test_invalid_diagrams_are_refused(kind: str, text: str) -> None:
    with pytest.raises((AttributeError, KeyError, ValueError)):
        draw(kind, "t", text)
