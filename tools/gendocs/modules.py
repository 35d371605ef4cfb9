"""The map of the code: every module of the package and tools, with the first line of its docstring."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tools.gendocs.markdown import code, page, table
from tools.gendocs.source import ROOT, plain

#: The folders of the map, in the order of the page: the package first.
FOLDERS = ("chat_service", "tests/support", "tools", "tools/gendocs")
#: Folders whose modules are one part of the project.
WHOLE = frozenset({"chat_service"})


def first_line(path: Path) -> str:
    """The first sentence of a module's docstring. Raises ``LookupError`` if it has none."""
    doc = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    if not doc:
        raise LookupError(f"{path.relative_to(ROOT)} has no docstring")
    return " ".join(plain(doc).split("\n\n")[0].split()).replace("``", "`")


def folders() -> Iterator[Path]:
    """The folders with modules, including all subfolders of the package."""
    for name in FOLDERS:
        folder = ROOT / name
        yield folder
        if name in WHOLE:
            for below in sorted(folder.rglob("*")):
                if below.is_dir() and any(below.glob("*.py")) and "__pycache__" not in below.parts:
                    yield below


def modules_page() -> str:
    """docs/reference/modules.md."""
    parts = [
        "Every module, with one line each. Read [the architecture](../concepts/architecture.md) first.\n\n"
    ]
    for folder in folders():
        paths = sorted(path for path in folder.glob("*.py") if not path.name.startswith("test_"))
        package = folder / "__init__.py"
        intro = (
            f"{first_line(package)}\n\n" if package.exists() and package.read_text("utf-8").strip() else ""
        )
        rows = [(code(path.stem), first_line(path)) for path in paths if path != package]
        if rows:
            shown = table(("module", "what it is for"), rows)
            parts.append(f"## {folder.relative_to(ROOT).as_posix()}\n\n{intro}{shown}")
    return page("Map of the modules", *parts)
