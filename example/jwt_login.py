"""Logins by JSON Web Token (PyJWT): the token names the user, and its end is the end of the connection.

The client brings the token in the `auth` object of Socket.IO, and a new one before the old one ends:

    const socket = io(url, { auth: (give) => give({ token: newestToken }) })
    socket.emit("renew", newerToken, (error) => ...)

It needs PyJWT, which `pip install -c constraints.txt -e ".[jwt]"` installs in a checkout. Run it with
JWT_SECRET set to the secret that your login page signs tokens with.
"""

import asyncio
import os
import sys
import time
from typing import Any

import jwt

from chat_service import ChatService, ChatServiceError, DisconnectInfo


class LoginError(ChatServiceError):
    """Errors that the client of a login can tell apart."""

    texts = {"badToken": "The token is not valid", "otherUser": "The token is of another user"}


class JwtLogin:
    """The hooks. One object per service: it has a timer per socket."""

    def __init__(self, secret: str, audience: str) -> None:
        # A shorter one than the hash of HS256 could be guessed from one token.
        if len(secret.encode()) < 32:
            raise ValueError("the secret needs 32 bytes or more: `openssl rand -hex 32` prints a good one")
        self._secret = secret
        self._audience = audience
        self._ends: dict[str, asyncio.TimerHandle] = {}

    def read(self, token: Any) -> dict[str, Any]:
        """The claims of a token. Raises ``LoginError``."""
        try:
            # The algorithms are ours to name: a token that named its own could choose "none".
            return jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                audience=self._audience,
                options={"require": ["sub", "exp", "aud"]},
            )
        except jwt.PyJWTError:
            # Why it is bad is nobody's business but ours.
            raise LoginError("badToken") from None

    async def on_connect(self, service: ChatService, socket_id: str) -> tuple[str, dict[str, Any]]:
        auth = service.transport.get_handshake_data(socket_id).auth
        claims = self.read(auth.get("token") if isinstance(auth, dict) else None)
        user: str = claims["sub"]

        def renew(token: Any) -> int:
            newer = self.read(token)
            # Without this a socket could go on as somebody else, in rooms that are not theirs.
            if newer["sub"] != user:
                raise LoginError("otherUser")
            return self._end_at(service, socket_id, newer["exp"])

        service.transport.bind_handler(socket_id, "renew", renew)
        return user, {"expiresAt": self._end_at(service, socket_id, claims["exp"])}

    def on_disconnect(self, service: ChatService, info: DisconnectInfo) -> None:
        self._cancel(info.id)

    def _end_at(self, service: ChatService, socket_id: str, end: float) -> int:
        """Disconnect the socket at this time instead of the previous one. Returns the time in ms."""
        self._cancel(socket_id)

        def disconnect() -> None:
            self._cancel(socket_id)
            if service.transport.get_handshake_data(socket_id).is_connected:
                # The client does not come back by itself after this: it needs a new token first.
                service.transport.disconnect_socket(socket_id)

        delay = end - time.time()
        self._ends[socket_id] = asyncio.get_running_loop().call_later(delay, disconnect)
        return int(end * 1000)

    def _cancel(self, socket_id: str) -> None:
        timer = self._ends.pop(socket_id, None)
        if timer is not None:
            timer.cancel()


def make_service(secret: str, audience: str = "chat", **options: Any) -> ChatService:
    """A service that lets in who has a token for it."""
    return ChatService(hooks=JwtLogin(secret, audience), **options)


if __name__ == "__main__":
    try:
        login_service = make_service(os.environ["JWT_SECRET"], port=int(os.environ.get("PORT", "8000")))
    except KeyError:
        sys.exit("set JWT_SECRET to the secret that your login page signs tokens with")
    except ValueError as error:
        sys.exit(f"cannot start: {error}")
    login_service.run()
