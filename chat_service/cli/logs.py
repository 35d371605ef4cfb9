"""What a process logs, and how."""

from typing import Any

from chat_service.operations import logging


def configure(level: str, form: str, service: Any = None) -> None:
    """Log to stderr. ``form``: "text" or "json"."""
    logging.configure("json" if form == "json" else "text", level, service=service)
