"""The example service: a room `default`, and users named by the query field `userName`.

Run it with `.venv/bin/python example/server.py`, then talk to it with example/client.py or example/client.js.
PORT changes the port. (`make run` starts the web chat, which these clients can talk to as well.)
"""

import logging
import os
import sys

from chat_service import ChatService, ConfigurationError


async def on_connect(service: ChatService, socket_id: str) -> str | None:
    """Trust the name that the client gives. A real service checks a token here."""
    return service.transport.get_handshake_data(socket_id).query.get("userName")


async def on_start(service: ChatService) -> None:
    """Create the room that everyone can join."""
    await service.add_room("default", owner="admin", exist_ok=True)


def make_service(port: int) -> ChatService:
    """The service of this example."""
    return ChatService(
        port=port,
        hooks={"on_connect": on_connect, "on_start": on_start},
        enable_rooms_management=True,
        enable_direct_messages=True,
        enable_userlist_updates=True,
        transport_options={"cors_allowed_origins": "*"},
    )


def main() -> None:
    """Run until Ctrl+C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    port = os.environ.get("PORT", "8000")
    try:
        service = make_service(int(port))
    except (ConfigurationError, ValueError) as error:
        sys.exit(f"cannot start: PORT={port}: {error}")
    service.run()


if __name__ == "__main__":
    main()
