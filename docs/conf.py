"""Sphinx settings for the documentation."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read_version() -> str:
    """Take the version from the source: that of the installed package may be out of date."""
    init = ROOT / "chat_service" / "version.py"
    found = re.search(r'^__version__\s*=\s*"(.+)"', init.read_text("utf-8"), re.M) if init.exists() else None
    return found[1] if found else "0"


project = "chat_service"
author = "chat_service authors"
copyright = "2026, chat_service authors"
version = release = read_version()

sys.path.insert(0, str(ROOT / "docs" / "_ext"))
extensions = ["myst_parser", "sphinx_design", "diagrams"]
exclude_patterns = ["_*"]
nitpicky = False
smartquotes = False  # quotes are part of values here

myst_enable_extensions = ["colon_fence", "deflist", "tasklist"]
myst_heading_anchors = 3  # so that pages can link to each other's headings

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["chat.css"]
html_title = f"chat_service {release}"
html_copy_source = False
