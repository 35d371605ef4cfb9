"""The command ``chat-service``: runs services, and looks into those that run.

Modules here import libraries where they are used, so that ``--help`` and completion answer at once.
"""

from chat_service.cli.app import app


def main() -> None:
    """The console script."""
    app()


__all__ = ["app", "main"]
