"""FastAPI: one JSON Web Token for the API and for the chat, which is mounted at /chat.

    JWT_SECRET=... python example/backends/fastapi_shop.py

    POST /login {"user": "ann", "password": "tea"}    -> {"token": ...}
    POST /orders {"text": ...}                        announces an order in the room "orders"
    POST /logout                                      disconnects the user's sockets

Clients connect with `io(url + "/chat-service", { path: "/chat/socket.io", auth: { token } })`.
"""

import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from chat_service import ChatService
from chat_service.jwt_login import JwtLogin

SECRET = os.environ["JWT_SECRET"]
AUDIENCE = "shop"
#: A real application has hashes of passwords in its database.
PASSWORDS = {"ann": "tea", "bob": "milk"}

service = ChatService(hooks=JwtLogin(secret=SECRET, audience=AUDIENCE))


@service.on("on_start")
async def make_rooms(service: ChatService) -> None:
    await service.add_room("orders", exist_ok=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # Frameworks do not pass lifespan events on to what is mounted inside.
    async with service:
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/chat", service.asgi_app())


class Credentials(BaseModel):
    user: str
    password: str


class Order(BaseModel):
    text: str


def current_user(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    """The user of a request: FastAPI checks the token by the same rules as the chat."""
    try:
        claims = jwt.decode(given.credentials, SECRET, algorithms=["HS256"], audience=AUDIENCE)
    except jwt.InvalidTokenError:
        raise HTTPException(401, "The token is not valid") from None
    return str(claims["sub"])


User = Annotated[str, Depends(current_user)]


@app.post("/login")
async def login(credentials: Credentials) -> dict[str, str]:
    password = PASSWORDS.get(credentials.user, "")
    if not password or not secrets.compare_digest(password.encode(), credentials.password.encode()):
        raise HTTPException(401, "Wrong name or password")
    claims = {"sub": credentials.user, "aud": AUDIENCE, "exp": int(time.time()) + 3600}
    return {"token": jwt.encode(claims, SECRET, algorithm="HS256")}


@app.post("/orders", status_code=201)
async def order(order: Order, user: User) -> dict[str, int]:
    return {"messageId": await service.broadcast("orders", {"textMessage": f"{user} orders {order.text}"})}


@app.post("/logout", status_code=204)
async def logout(user: User) -> None:
    await service.disconnect_user_sockets(user)


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), timeout_graceful_shutdown=5)
