"""The table of attacks in the security guide names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/guide/security.md").read_text("utf-8")


def test_the_tests_of_attacks_exist() -> None:
    section = GUIDE.partition("## Attacks and their tests\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 15
    for row in rows:
        text = ""
        named = re.findall(r"`([\w/]+\.py)?(?:::(\w+))?`", row.split("|")[2])
        assert named, row
        for path, test in named:
            if path:
                text = (ROOT / "tests" / path).read_text("utf-8")
            assert re.search(rf"^(?:async )?def {test or 'test_'}", text, re.MULTILINE), (path, test)
