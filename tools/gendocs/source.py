"""Reads signatures, docstrings and comments from source text.

Unlike importing, parsing keeps the short names in annotations and gives access to ``#:`` comments.
"""

import ast
import dataclasses
import inspect
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A public method or property. ``signature`` is a complete ``def`` line with ``...`` as body."""

    name: str
    signature: str
    doc: str
    #: The last section comment above it, such as ``# Users``; "" before the first one.
    section: str
    is_property: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a dataclass. ``default`` is None if there is none."""

    name: str
    type: str
    default: str | None
    doc: str


class Module:
    """A parsed module of the package."""

    def __init__(self, module: ModuleType) -> None:
        self.name = module.__name__
        self._module = module
        source = inspect.getsource(module)
        self._lines = source.splitlines()
        self._tree = ast.parse(source)

    def doc(self) -> str:
        return plain(ast.get_docstring(self._tree))

    def class_doc(self, name: str) -> str:
        return plain(ast.get_docstring(self._class(name)))

    def methods(self, class_name: str) -> list[Method]:
        """The public methods of a class in source order; for overloads, the implementation."""
        found: dict[str, Method] = {}
        section, last_line = "", self._class(class_name).lineno
        for node in self._class(class_name).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                section = self._section(last_line, node.lineno) or section
                if not node.name.startswith("_"):
                    found[node.name] = self._method(node, section)
            last_line = node.end_lineno or node.lineno
        return list(found.values())

    def fields(self, class_name: str) -> list[Field]:
        """The fields of a dataclass, with their ``#:`` comments, without those of its bases."""
        nodes = {
            node.target.id: node
            for node in self._class(class_name).body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
        return [
            Field(
                name=field.name,
                type=ast.unparse(nodes[field.name].annotation),
                default=_default(field),
                doc=self._comment_above(nodes[field.name].lineno),
            )
            for field in dataclasses.fields(getattr(self._module, class_name))
            if field.name in nodes
        ]

    def value_types(self) -> list[str]:
        """The names of the dataclasses in source order."""
        return [
            node.name
            for node in self._tree.body
            if isinstance(node, ast.ClassDef)
            and any("dataclass" in ast.unparse(d) for d in node.decorator_list)
        ]

    def _class(self, name: str) -> ast.ClassDef:
        for node in self._tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return node
        raise LookupError(f"{self.name} has no class {name}")

    def _section(self, after: int, before: int) -> str:
        """The last section comment, indented like methods, between two lines."""
        for line in reversed(self._lines[after : before - 1]):
            if match := re.fullmatch(r" {4}# (\w[^.]*)\.?(?: .*)?", line):
                return match[1]
        return ""

    def _method(self, node: ast.FunctionDef | ast.AsyncFunctionDef, section: str) -> Method:
        arguments = ast.arguments(**{**vars(node.args), "args": node.args.args[1:]})
        word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
        returns = "" if node.returns is None else " -> " + ast.unparse(node.returns).strip("'\"")
        return Method(
            name=node.name,
            signature=_wrapped(f"{word} {node.name}", _parts(arguments), f"{returns}: ..."),
            doc=plain(ast.get_docstring(node)),
            section=section,
            is_property=any(ast.unparse(decorator) == "property" for decorator in node.decorator_list),
        )

    def _comment_above(self, line_number: int) -> str:
        lines: list[str] = []
        for line in reversed(self._lines[: line_number - 1]):
            if not (match := re.fullmatch(r"\s*#: ?(.*)", line)):
                break
            lines.insert(0, match[1])
        return " ".join(lines)


def all_fields(kind: type[Any]) -> list[Field]:
    """The fields of a dataclass: its own, then those of its bases."""
    found: dict[str, Field] = {}
    for each in kind.__mro__:
        if dataclasses.is_dataclass(each):
            for field in Module(sys.modules[each.__module__]).fields(each.__name__):
                found.setdefault(field.name, field)
    return list(found.values())


def _default(field: "dataclasses.Field[object]") -> str | None:
    if field.default is not dataclasses.MISSING:
        return repr(field.default)
    return None if field.default_factory is dataclasses.MISSING else repr(field.default_factory())


def plain(docstring: str | None) -> str:
    """Remove references to contract documents, which readers do not have, from a docstring."""
    return re.sub(r" \((?:protocol|server-api|architecture)\.md[^)]*\)", "", docstring or "")


def _wrapped(head: str, parts: list[str], tail: str, width: int = 96) -> str:
    """Render a signature on one line, or with one argument per line if that is too long."""
    one_line = f"{head}({', '.join(parts)}){tail}"
    if len(one_line) <= width:
        return one_line
    return f"{head}(\n" + "".join(f"    {part},\n" for part in parts) + f"){tail}"


def _parts(arguments: ast.arguments) -> list[str]:
    plain = [ast.unparse(argument) for argument in arguments.args]
    first_default = len(plain) - len(arguments.defaults)
    for index, default in enumerate(arguments.defaults):
        plain[first_default + index] += " = " + _value(default)
    if arguments.vararg is not None:
        plain.append("*" + ast.unparse(arguments.vararg))
    elif arguments.kwonlyargs:
        plain.append("*")
    for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        plain.append(ast.unparse(argument) + ("" if value is None else " = " + _value(value)))
    if arguments.kwarg is not None:
        plain.append("**" + ast.unparse(arguments.kwarg))
    return plain


def _value(node: ast.expr) -> str:
    """Render a default value with double quotes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return json.dumps(node.value)
    return ast.unparse(node)
