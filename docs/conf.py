"""Sphinx settings for the documentation."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read_version() -> str:
    """Take the version from the source: that of the installed package may be out of date."""
    init = ROOT / "chat_service" / "__init__.py"
    found = re.search(r'^__version__\s*=\s*"(.+)"', init.read_text("utf-8"), re.M) if init.exists() else None
    return found[1] if found else "0"


project = "chat_service"
author = "chat_service authors"
copyright = "2026, chat_service authors"
version = release = read_version()

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_*"]
nitpicky = False
smartquotes = False  # quotes are part of values here

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3  # so that pages can link to each other's headings

autodoc_member_order = "bysource"
autodoc_typehints = "signature"

html_theme = "furo"
html_title = f"chat_service {release}"
html_copy_source = False
