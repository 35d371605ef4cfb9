"""Logins by JSON Web Token (PyJWT): the token names the user, and the login expires with it.

The client sends the token in the `auth` object of Socket.IO, and a new one when the old one is about to
expire:

    const socket = io(url, { auth: (give) => give({ token: newestToken }) })
    socket.on("loginExpiring", async () => socket.emit("loginRefresh", await fetchToken(), (error) => ...))

It requires PyJWT, which `pip install -c constraints.txt -e ".[jwt]"` installs in a checkout. Run it with
JWT_SECRET set to the secret with which your login page signs tokens.
"""

import os
import sys
from typing import Any

from chat_service import ChatService
from chat_service.jwt_login import JwtLogin


def make_service(secret: str, audience: str = "chat", **options: Any) -> ChatService:
    """A service that requires a token."""
    return ChatService(hooks=JwtLogin(secret=secret, audience=audience), **options)


if __name__ == "__main__":
    try:
        login_service = make_service(os.environ["JWT_SECRET"], port=int(os.environ.get("PORT", "8000")))
    except KeyError:
        sys.exit("set JWT_SECRET to the secret that your login page signs tokens with")
    except ValueError as error:
        sys.exit(f"cannot start: {error}")
    login_service.run()
