"""The command ``chat-service``: runs services, and inspects running ones.

Modules here import libraries where they are used, so that ``--help`` and completion are fast.
"""

from chat_service.cli.app import app


def main() -> None:
    """The console script."""
    app()


__all__ = ["app", "main"]
