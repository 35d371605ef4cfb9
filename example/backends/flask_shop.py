"""Flask: a WSGI application, which cannot hold connections, beside a chat that runs as its own process.

    JWT_SECRET=... CHAT_TOKEN=... python example/backends/flask_chat.py    # in one terminal
    JWT_SECRET=... CHAT_TOKEN=... python example/backends/flask_shop.py    # in another

    POST /login {"user": "ann", "password": "tea"}    sets the session cookie
    POST /chat-token                                  -> {"token": ...}, for a login of the chat
    POST /orders {"text": ...}                        announces an order in the room "orders"
    POST /logout                                      clears the session

Clients connect to the other process: `io(chatUrl + "/chat-service", { auth: { token } })`, and ask for a new
token when the old one is about to expire.
"""

import os
import secrets
import time
from typing import Any

import jwt
from flask import Flask, request, session

from chat_service.publisher import Publisher

SECRET = os.environ["JWT_SECRET"]
#: A real application has hashes of passwords in its database.
PASSWORDS = {"ann": "tea", "bob": "milk"}
#: Seconds that a token of the chat is valid. After a logout the chat ends as late as this.
TOKEN_LIFETIME = 300

app = Flask(__name__)
app.secret_key = SECRET
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
publisher = Publisher(os.environ.get("CHAT_API", "http://127.0.0.1:9100/api"), token=os.environ["CHAT_TOKEN"])


@app.post("/login")
def login() -> Any:
    given = request.get_json()
    password = PASSWORDS.get(str(given.get("user")), "")
    if not password or not secrets.compare_digest(password.encode(), str(given.get("password")).encode()):
        return {"error": "Wrong name or password"}, 401
    session["user"] = given["user"]
    return "", 204


@app.post("/chat-token")
def chat_token() -> Any:
    if "user" not in session:
        return {"error": "Log in first"}, 401
    claims = {"sub": session["user"], "aud": "chat", "exp": int(time.time()) + TOKEN_LIFETIME}
    return {"token": jwt.encode(claims, SECRET, algorithm="HS256")}


@app.post("/orders")
def order() -> Any:
    if "user" not in session:
        return {"error": "Log in first"}, 401
    text = f"{session['user']} orders {request.get_json()['text']}"
    return {"messageId": publisher.publish("orders", {"textMessage": text}).id}, 201


@app.post("/logout")
def logout() -> Any:
    session.pop("user", None)
    return "", 204


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "5000")))
