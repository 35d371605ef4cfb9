"""tools/screenshots.py makes the pictures of the README from the page as it is."""

from pathlib import Path

import pytest
from PIL import Image

from tests.browser.conftest import MARKS
from tools import screenshots

pytestmark = [*MARKS, pytest.mark.slow]


async def test_the_pictures_are_made(tmp_path: Path) -> None:
    await screenshots.main(tmp_path)
    wanted = sorted(path.name for path in screenshots.IMAGES.glob("chat-*.png"))
    assert sorted(path.name for path in tmp_path.iterdir()) == wanted
    for path in tmp_path.iterdir():
        with Image.open(path) as made, Image.open(screenshots.IMAGES / path.name) as shown:
            assert made.size == shown.size
            assert len(made.convert("RGB").getcolors(1 << 24) or ()) > 50
