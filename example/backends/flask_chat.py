"""The chat beside flask_shop.py: it takes the tokens that the shop signs, and messages by its HTTP API."""

import os

from chat_service import ChatService
from chat_service.jwt_login import JwtLogin

service = ChatService(
    port=int(os.environ.get("PORT", "8000")),
    hooks=JwtLogin(secret=os.environ["JWT_SECRET"], audience="chat"),
    operations_port=int(os.environ.get("API_PORT", "9100")),
    api_options={"tokens": {"shop": {"token": os.environ["CHAT_TOKEN"], "scopes": ["write"]}}},
    # The pages of the shop come from another origin.
    transport_options={"cors_allowed_origins": os.environ.get("SHOP_ORIGIN", "http://127.0.0.1:5000")},
)


@service.on("on_start")
async def make_rooms(service: ChatService) -> None:
    await service.add_room("orders", exist_ok=True)


if __name__ == "__main__":
    service.run()
