"""The web chat: a server with a chat page and the service behind it.

``main(port=8000)`` runs it until a signal; ``Demo`` runs it inside a loop.
"""

from chat_service.demo.demo_server import Demo, main

__all__ = ["Demo", "main"]
