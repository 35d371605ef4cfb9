"""Diagrams from text, as inline SVG that follows the colours of the theme, light or dark.

``{sequence}``: who says what to whom, from top to bottom::

    Ann | Instance | Store
    Ann -> Instance: roomMessage
    Instance -> Store: one step
    Instance: a note at Instance
    --- a caption across

``{boxes}``: rows of boxes, and lines between them. `name = text; second line` gives a box a text::

    [client = Clients] [other = Application]
    [service = ChatService]
    client -> service: Socket.IO
"""

import html
import itertools
import re
from dataclasses import dataclass, field

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

#: Pixels, and the width of a letter on average.
LETTER, LINE, MARGIN = 6.7, 17, 10


def text_width(text: str) -> float:
    return max(len(line) for line in text.split("; ")) * LETTER


def text_at(x: float, y: float, text: str, kind: str = "") -> str:
    """Lines of text, centred at x; y is the first base line."""
    return "".join(
        f'<text class="{kind}" x="{x:.0f}" y="{y + number * LINE:.0f}">{html.escape(line)}</text>'
        for number, line in enumerate(text.split("; "))
    )


def box_at(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="5"/>'


def svg(width: float, height: float, parts: list[str], title: str) -> str:
    size = f"width: {width:.0f}px; min-width: {min(width, 700):.0f}px"
    return (
        f'<div class="diagram"><svg role="img" aria-label="{html.escape(title)}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" style="{size}">'
        f"<title>{html.escape(title)}</title>{''.join(parts)}</svg></div>"
    )


def arrow(x1: float, y1: float, x2: float, y2: float, kind: str = "line") -> str:
    """A line with a head at its end."""
    length = max(((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5, 1)
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    left = (x2 - 8 * dx - 4 * dy, y2 - 8 * dy + 4 * dx)
    right = (x2 - 8 * dx + 4 * dy, y2 - 8 * dy - 4 * dx)
    head = f"{x2:.1f},{y2:.1f} {left[0]:.1f},{left[1]:.1f} {right[0]:.1f},{right[1]:.1f}"
    line = f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
    return f'{line}<polygon class="head" points="{head}"/>'


# Sequences


@dataclass
class Step:
    """One line of a sequence. ``to`` is -1 for a note, ``at`` is -1 for a caption."""

    at: int
    to: int
    text: str
    is_answer: bool = False


def read_sequence(lines: list[str]) -> tuple[list[str], list[Step]]:
    names = [name.strip() for name in lines[0].split("|")]
    steps = []
    for line in lines[1:]:
        if line.startswith("---"):
            steps.append(Step(-1, -1, line.strip("- ")))
            continue
        head, _, text = line.partition(": ")
        first, sign, second = (
            part.strip() for part in re.match(r"([^-]+?)(?:(-->|->)(.+))?$", head).groups("")
        )
        to = names.index(second) if sign else -1
        steps.append(Step(names.index(first), to, text, sign == "-->"))
    return names, steps


def sequence(lines: list[str], title: str) -> str:
    names, steps = read_sequence(lines)
    gaps = [(text_width(a) + text_width(b)) / 2 + 36 for a, b in itertools.pairwise(names)]
    for step in steps:
        if step.to >= 0:
            low, high = sorted((step.at, step.to))
            missing = text_width(step.text) + 26 - sum(gaps[low:high])
            if missing > 0:
                gaps[low:high] = [gap + missing / (high - low) for gap in gaps[low:high]]
        elif step.at >= 0:
            for side in (step.at - 1, step.at):
                if 0 <= side < len(gaps):
                    gaps[side] = max(gaps[side], text_width(step.text) / 2 + 40)
    notes = [
        text_width(step.text) / 2 + 15 for step in steps if step.to < 0 and step.at in (0, len(names) - 1)
    ]
    edge = max([text_width(names[0]) / 2 + 20, text_width(names[-1]) / 2 + 20, *notes])
    columns = [edge + sum(gaps[:number]) for number in range(len(names))]
    width, y, parts = columns[-1] + edge, 54.0, []
    for step in steps:
        y += LINE * step.text.count("; ")
        top = y - LINE * step.text.count("; ")
        if step.at < 0:
            parts.append(f'<line class="rule" x1="0" y1="{y:.0f}" x2="{width:.0f}" y2="{y:.0f}"/>')
            parts.append(
                box_at(
                    width / 2 - text_width(step.text) / 2 - 8, y - 12, text_width(step.text) + 16, 24, "page"
                )
            )
            parts.append(text_at(width / 2, y + 4, step.text, "caption"))
            y += 34
        elif step.to < 0:
            x = columns[step.at]
            height = LINE * (step.text.count("; ") + 1) + 8
            parts.append(
                box_at(
                    x - text_width(step.text) / 2 - 9, top - 15, text_width(step.text) + 18, height, "note"
                )
            )
            parts.append(text_at(x, top, step.text))
            y += 34
        else:
            start, end = columns[step.at], columns[step.to]
            parts.append(text_at((start + end) / 2, top, step.text))
            parts.append(arrow(start, y + 7, end, y + 7, "answer" if step.is_answer else "line"))
            y += 36
    heads = []
    for name, x in zip(names, columns, strict=True):
        heads.append(f'<line class="life" x1="{x:.0f}" y1="34" x2="{x:.0f}" y2="{y - 8:.0f}"/>')
        heads.append(box_at(x - text_width(name) / 2 - 11, 6, text_width(name) + 22, 28, "box"))
        heads.append(text_at(x, 25, name, "name"))
    return svg(width, y, [*heads, *parts], title)


# Boxes


@dataclass
class Box:
    """A box and its place."""

    name: str
    text: str
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0


@dataclass
class Picture:
    """Rows of boxes, and the lines between them."""

    rows: list[list[Box]] = field(default_factory=list)
    lines: list[tuple[str, str, str, bool]] = field(default_factory=list)


def read_boxes(lines: list[str]) -> Picture:
    picture = Picture()
    for line in lines:
        if line.startswith("["):
            cells = (cell.partition(" = ") for cell in re.findall(r"\[([^]]+)\]", line))
            picture.rows.append([Box(name.strip(), text or name) for name, _, text in cells])
        else:
            head, _, text = line.rstrip(":").partition(": ")
            first, sign, second = re.match(r"(.+?) (<->|->) (.+)", head).groups()
            picture.lines.append((first.strip(), second.strip(), text, sign == "<->"))
    return picture


def boxes(lines: list[str], title: str) -> str:
    picture = read_boxes(lines)
    by_name = {box.name: box for row in picture.rows for box in row}
    row_of = {box.name: number for number, row in enumerate(picture.rows) for box in row}
    widths, y = [], float(MARGIN)
    for number, row in enumerate(picture.rows):
        labels = [text for a, b, text, _ in picture.lines if row_of[a] == row_of[b] == number]
        gap = max([50, *(text_width(text) + 34 for text in labels)]) if labels else 50
        x = 0.0
        for box in row:
            box.width = text_width(box.text) + 26
            box.height = LINE * (box.text.count("; ") + 1) + 16
            box.x, box.y = x, y
            x += box.width + gap
        widths.append(x - gap)
        below = [
            text
            for a, b, text, _ in picture.lines
            if min(row_of[a], row_of[b]) == number != max(row_of[a], row_of[b])
        ]
        lines_of_text = max([text.count("; ") + 1 for text in below], default=0)
        y += max(box.height for box in row) + 36 + LINE * lines_of_text
    width = max(widths) + 2 * MARGIN
    for row, row_width in zip(picture.rows, widths, strict=True):
        for box in row:
            box.x += (width - row_width) / 2
    parts = []
    for first, second, text, both in picture.lines:
        a, b = by_name[first], by_name[second]
        if row_of[first] == row_of[second]:
            left, right = (a, b) if a.x < b.x else (b, a)
            inner = (left.x + left.width, a.y + a.height / 2), (right.x, a.y + a.height / 2)
            start, end = inner if left is a else inner[::-1]
        elif row_of[first] < row_of[second]:
            # Straight down where the boxes overlap, else from middle to middle.
            low, high = max(a.x, b.x), min(a.x + a.width, b.x + b.width)
            xs = ((low + high) / 2,) * 2 if high - low > 20 else (a.x + a.width / 2, b.x + b.width / 2)
            start, end = (xs[0], a.y + a.height), (xs[1], b.y)
        else:
            start, end = (a.x + a.width / 2, a.y), (b.x + b.width / 2, b.y + b.height)
        parts.append(arrow(*start, *end))
        if both:
            parts.append(arrow(*end, *start))
        if text:
            x, middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
            half, count = text_width(text) / 2, text.count("; ") + 1
            if row_of[first] == row_of[second]:
                middle -= LINE * count / 2 + 4
            else:
                parts.append(
                    box_at(x - half - 4, middle - LINE * count / 2, 2 * half + 8, LINE * count, "page")
                )
            parts.append(text_at(x, middle - LINE * count / 2 + 13, text, "label"))
    for box in by_name.values():
        parts.append(box_at(box.x, box.y, box.width, box.height, "box"))
        first_line, *more = box.text.split("; ")
        parts.append(text_at(box.x + box.width / 2, box.y + 21, first_line, "name"))
        if more:
            parts.append(text_at(box.x + box.width / 2, box.y + 21 + LINE, "; ".join(more)))
    return svg(width, y - 36 + MARGIN, parts, title)


class Diagram(SphinxDirective):
    """The argument is a title, for who cannot see the picture."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        draw = {"sequence": sequence, "boxes": boxes}[self.name]
        lines = [line.strip() for line in self.content if line.strip()]
        try:
            picture = draw(lines, self.arguments[0])
        except (AttributeError, KeyError, ValueError) as error:
            raise self.error(f"this is no {self.name}: {error}") from error
        return [nodes.raw("", picture, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("sequence", Diagram)
    app.add_directive("boxes", Diagram)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
