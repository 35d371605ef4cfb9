"""Litestar: its JSON Web Tokens are those of the chat, which is mounted at /chat.

    JWT_SECRET=... python example/backends/litestar_shop.py

    POST /login {"user": "ann", "password": "tea"}    -> {"token": ...}
    POST /orders {"text": ...}                        announces an order in the room "orders"
    POST /logout                                      disconnects the user's sockets

Clients connect with `io(url + "/chat-service", { path: "/chat/socket.io", auth: { token } })`.
"""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from litestar import Litestar, Request, asgi, post
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.security.jwt import JWTAuth, Token
from litestar.types import Receive, Scope, Send

from chat_service import ChatService
from chat_service.jwt_login import JwtLogin

SECRET = os.environ["JWT_SECRET"]
#: A real application has hashes of passwords in its database.
PASSWORDS = {"ann": "tea", "bob": "milk"}

service = ChatService(hooks=JwtLogin(secret=SECRET))
chat_app = service.asgi_app()


@service.on("on_start")
async def make_rooms(service: ChatService) -> None:
    await service.add_room("orders", exist_ok=True)


@dataclass
class Credentials:
    user: str
    password: str


@dataclass
class Order:
    text: str


async def find_user(token: Token, connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    return token.sub if token.sub in PASSWORDS else None


jwt_auth = JWTAuth[str](retrieve_user_handler=find_user, token_secret=SECRET, exclude=["/login", "/chat"])


@post("/login", status_code=200)
async def login(data: Credentials) -> dict[str, str]:
    password = PASSWORDS.get(data.user, "")
    if not password or not secrets.compare_digest(password.encode(), data.password.encode()):
        raise NotAuthorizedException("Wrong name or password")
    return {"token": jwt_auth.create_token(data.user)}


@post("/orders")
async def order(data: Order, request: Request[str, Token, Any]) -> dict[str, int]:
    text = f"{request.user} orders {data.text}"
    return {"messageId": await service.broadcast("orders", {"textMessage": text})}


@post("/logout", status_code=204)
async def logout(request: Request[str, Token, Any]) -> None:
    await service.disconnect_user_sockets(request.user)


@asgi("/chat", is_mount=True)
async def chat(scope: Scope, receive: Receive, send: Send) -> None:
    await chat_app(scope, receive, send)


@asynccontextmanager
async def run_service(app: Litestar) -> AsyncIterator[None]:
    # Frameworks do not pass lifespan events on to what is mounted inside.
    async with service:
        yield


app = Litestar([login, order, logout, chat], on_app_init=[jwt_auth.on_app_init], lifespan=[run_service])

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), timeout_graceful_shutdown=5)
