"""Every code block of README.md and docs/ is run, or checked according to its rule."""

from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks_of, pages, read_blocks
from tests.docs.running import BlockError, Page
from tests.docs.shell import shell_problems

PAGES = [path for path in pages() if blocks_of(path)]


@pytest.mark.timeout(1800)  # runs many programs
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
async def test_code_blocks_of_page(path: Path, tmp_path: Path) -> None:
    page = Page(tmp_path)
    try:
        for block in blocks_of(path):
            await page.check(block)
    finally:
        await page.close()


def test_there_are_pages() -> None:
    assert ROOT / "README.md" in PAGES


# The checks themselves


def test_block_is_read_with_its_rule_and_place() -> None:
    text = "# Page\n\n<!-- run: server -->\n```python\nx = 1\n```\n\n1. item\n   ```sh\n   make run\n   ```\n"
    first, second = read_blocks("page.md", text)
    assert (str(first), first.language, first.how, first.text) == ("page.md:4", "python", "server", "x = 1\n")
    assert (str(second), second.how, second.text) == ("page.md:9", "shell", "make run\n")


def test_directives_are_not_code() -> None:
    assert read_blocks("page.md", "```{toctree}\nindex\n```\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "```\nx\n```\n",
        "```cobol\nx\n```\n",
        "<!-- run: dance -->\n```python\nx\n```\n",
        "<!-- run: server -->\n```javascript\nx\n```\n",
        "<!-- no run -->\n```python\nx\n```\n",
        "<!-- output -->\n```python\nx\n```\n",
    ],
)
def test_block_without_a_rule_is_refused(text: str) -> None:
    (block,) = read_blocks("page.md", text)
    with pytest.raises(LookupError, match=r"page\.md"):
        _ = block.how


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```python\nraise SystemExit(3)\n```\n", "exit code 3"),
        ("<!-- run: fragment -->\n```python\nawait service.add_room('default')\n```\n", "already exists"),
        (
            "<!-- run: fragment -->\n```javascript\nawait call(alice, 'roomJoin', 'none');\n```\n",
            "No such room",
        ),
        ("<!-- run: server -->\n```python\nprint('no server')\n```\n", "the server ended with 0"),
        ("<!-- run: client -->\n```python\nraise SystemExit(4)\n```\n", "exit code 4"),
        ("<!-- run: tests -->\n```python\ndef test(): assert False\n```\n", "1 failed"),
        ("```python\nprint(1)\n```\n\n<!-- output -->\n```text\n2\n```\n", "printed '1"),
        ("<!-- no run: an example -->\n```python\ndef\n```\n", "SyntaxError"),
        ("<!-- no run: an example -->\n```javascript\nconst\n```\n", "SyntaxError"),
        ("```sh\nmake nothing\n```\n", "no target nothing"),
    ],
)
async def test_bad_block_fails(text: str, message: str, tmp_path: Path) -> None:
    page = Page(tmp_path)

    async def check_all() -> None:
        for block in read_blocks("page.md", text):
            await page.check(block)

    try:
        with pytest.raises(BlockError, match=r"(?s)page\.md.*" + message):
            await check_all()
    finally:
        await page.close()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("make run", ""),
        ("PORT=9000 make run  # another port", ""),
        ("make run jump", "make has no target jump"),
        ("tools/run.sh", ""),
        ("tools/sing.sh", "there is no tools/sing.sh"),
        ("python3 -m venv .venv && .venv/bin/python example/server.py", ""),
        (".venv/bin/python example/lost.py", "there is no example/lost.py"),
        (".venv/bin/pip install -c constraints.txt \\\n  -e .", ""),
        ("frobnicate", "nothing is known of the command frobnicate"),
    ],
)
def test_shell_commands_are_looked_up(text: str, problem: str) -> None:
    assert shell_problems(text) == ([problem] if problem else [])
