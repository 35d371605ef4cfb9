"""The structure of the code: no import cycles, module names that occur once, modules of a readable length."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp

from tests.support import distribution, measuring

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "chat_service"
CLIENTS = [ROOT / f"clients/{name}/src" for name in ("js", "web", "console")]
LONGEST = 400


def cycles(imports: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """The groups of modules that import each other (Tarjan's strongly connected components)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []

    def visit(module: str) -> Iterator[list[str]]:
        numbers[module] = lowest[module] = len(numbers)
        path.append(module)
        for other in imports.get(module, set()):
            if other not in numbers:
                yield from visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in path:
                lowest[module] = min(lowest[module], numbers[other])
        if lowest[module] == numbers[module]:
            group = path[path.index(module) :]
            del path[path.index(module) :]
            if len(group) > 1 or module in imports.get(module, set()):
                yield sorted(group)

    for module in imports:
        if module not in numbers:
            yield from visit(module)


def test_the_search_finds_cycles():
    imports = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": set(), "f": {"f"}}
    assert sorted(cycles(imports)) == [["a", "b", "c"], ["f"]]


def test_python_modules_do_not_import_each_other_in_a_circle():
    graph = grimp.build_graph("chat_service", exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    assert list(cycles(imports)) == []


def test_modules_of_the_clients_do_not_import_each_other_in_a_circle():
    for folder in CLIENTS:
        imports = {}
        for path in [*folder.rglob("*.ts"), *folder.rglob("*.tsx")]:
            named = re.findall(r"""from "(\.[^"]+)\.js";""", path.read_text("utf-8"))
            imports[str(path.with_suffix(""))] = {str((path.parent / name).resolve()) for name in named}
        assert set().union(*imports.values()) & imports.keys(), f"no imports found in {folder}"
        assert list(cycles(imports)) == []


def test_files_of_the_load_generator_do_not_call_each_other_in_a_circle(tmp_path):
    defined: dict[str, str] = {}
    needed: dict[str, set[str]] = {}
    for path in (ROOT / "benchmarks/load").glob("*.c"):
        made = tmp_path / f"{path.stem}.o"
        subprocess.run(["cc", "-c", "-o", made, path], check=True)
        listing = subprocess.run(["nm", "-P", made], check=True, capture_output=True, text=True).stdout
        symbols = [line.split()[:2] for line in listing.splitlines()]
        defined |= {symbol: path.name for symbol, kind in symbols if kind in "BDRT"}
        needed[path.name] = {symbol for symbol, kind in symbols if kind == "U"}
    imports = {
        name: {defined[symbol] for symbol in symbols & defined.keys()} for name, symbols in needed.items()
    }
    assert any(imports.values())
    assert list(cycles(imports)) == []


def _modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if "testing" not in path.parts]


def test_a_module_name_occurs_once():
    names = Counter(path.name for path in _modules() if not path.name.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_modules_are_not_too_long():
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_one_module_knows_where_a_service_keeps_its_parts():
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("*.py")
        if re.search(r"\w\._context\b", path.read_text("utf-8"))
    ]
    assert readers == ["tests/support/parts.py"]


def test_tables_of_the_tests_name_files_that_exist():
    processes = [f"tests/{name}" for name in measuring.PROCESSES_MEASURED]
    folders = [f"tests/{name}" for name in (*measuring.UNMEASURED, *measuring.REDIS_MEASURED)]
    named = [*distribution.FIRST, *processes, *folders]
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert len(distribution.FIRST) == len(set(distribution.FIRST))
