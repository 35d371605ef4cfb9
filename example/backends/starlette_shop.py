"""Starlette: the chat reads the session of the application. It runs beside it, at /socket.io.

    SESSION_SECRET=... python example/backends/starlette_shop.py

    POST /login {"user": "ann", "password": "tea"}    sets the session cookie
    POST /orders {"text": ...}                        announces an order in the room "orders"
    POST /logout                                      clears the session, disconnects the user's sockets

A page of the application connects with `io(url + "/chat-service")`: its browser sends the cookie by itself.
"""

import os
import secrets
from collections.abc import Mapping
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chat_service import ChatService

SECRET = os.environ["SESSION_SECRET"]
#: A real application has hashes of passwords in its database.
PASSWORDS = {"ann": "tea", "bob": "milk"}


async def session_of(headers: Mapping[str, str]) -> dict[str, Any]:
    """The session of the application: its middleware reads the cookie and checks the signature."""
    found: dict[str, Any] = {}

    async def take(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope["session"])

    cookie = (b"cookie", headers.get("cookie", "").encode("latin-1"))
    scope = {"type": "websocket", "headers": [cookie]}
    await SessionMiddleware(take, SECRET)(scope, _nothing, _nothing)
    return found


async def _nothing(*_: Any) -> Any:
    """Receives and sends nothing: only the session is of interest."""


async def on_connect(service: ChatService, socket_id: str) -> str | None:
    session = await session_of(service.transport.get_handshake_data(socket_id).headers)
    return session.get("user")


async def on_start(service: ChatService) -> None:
    await service.add_room("orders", exist_ok=True)


service = ChatService(hooks={"on_connect": on_connect, "on_start": on_start})


async def login(request: Request) -> Response:
    given = await request.json()
    password = PASSWORDS.get(str(given.get("user")), "")
    if not password or not secrets.compare_digest(password.encode(), str(given.get("password")).encode()):
        return JSONResponse({"error": "Wrong name or password"}, 401)
    request.session["user"] = given["user"]
    return Response(status_code=204)


async def order(request: Request) -> Response:
    user = request.session.get("user")
    if user is None:
        return JSONResponse({"error": "Log in first"}, 401)
    given = await request.json()
    message_id = await service.broadcast("orders", {"textMessage": f"{user} orders {given['text']}"})
    return JSONResponse({"messageId": message_id}, 201)


async def logout(request: Request) -> Response:
    user = request.session.pop("user", None)
    if user is not None:
        await service.disconnect_user_sockets(user)
    return Response(status_code=204)


site = Starlette(
    routes=[
        Route("/login", login, methods=["POST"]),
        Route("/orders", order, methods=["POST"]),
        Route("/logout", logout, methods=["POST"]),
    ],
    middleware=[Middleware(SessionMiddleware, secret_key=SECRET)],
)
#: The service takes /socket.io, starts and closes with the server, and passes on everything else.
app = service.asgi_app(site)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), timeout_graceful_shutdown=5)
