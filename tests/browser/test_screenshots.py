"""The tools create the pictures of the README from the current pages."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.conftest import MARKS
from tools import console_screenshots, screenshots

pytestmark = [*MARKS, pytest.mark.slow]


@pytest.mark.parametrize(
    ("make", "names"), [(screenshots, "chat-*.png"), (console_screenshots, "console-*.png")]
)
async def test_the_pictures_are_made(tmp_path: Path, make: Any, names: str) -> None:
    await make.main(tmp_path)
    wanted = sorted(path.name for path in screenshots.IMAGES.glob(names))
    assert sorted(path.name for path in tmp_path.iterdir()) == wanted
    for path in tmp_path.iterdir():
        with Image.open(path) as made, Image.open(screenshots.IMAGES / path.name) as shown:
            assert made.size == shown.size
            assert len(made.convert("RGB").getcolors(1 << 24) or ()) > 50
