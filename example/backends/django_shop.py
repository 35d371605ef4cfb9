"""Django: its users and sessions are those of the chat, which runs beside it at /socket.io.

    DJANGO_SECRET=... DATABASE=shop.sqlite3 python example/backends/django_shop.py

    GET  /                                            sets the cookie of the CSRF protection
    POST /login {"user": "ann", "password": "tea"}    sets the session cookie
    POST /orders {"text": ...}                        announces an order in the room "orders"
    POST /logout                                      ends the session, disconnects the user's sockets

A page of the application connects with `io(url + "/chat-service")`: its browser sends the cookie by itself.
In a project of several files, `service` and `application` belong to asgi.py, and views import the service.
"""

import json
import os
from importlib import import_module

import django
import uvicorn
from django.conf import settings
from django.core.asgi import get_asgi_application

settings.configure(
    SECRET_KEY=os.environ["DJANGO_SECRET"],
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("DATABASE", "shop.sqlite3"),
        }
    },
    USE_TZ=True,
)
django.setup()

# Django's models can be imported from here on.
from django.contrib.auth import aauthenticate, aget_user, alogin, alogout, get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import ensure_csrf_cookie  # noqa: E402
from django.views.decorators.http import require_POST  # noqa: E402

from chat_service import ChatService, Login  # noqa: E402

Sessions = import_module(settings.SESSION_ENGINE).SessionStore


async def on_connect(service: ChatService, socket_id: str) -> Login | None:
    """The user of the session, until the session expires."""
    cookies = service.transport.get_handshake_data(socket_id).cookies
    request = HttpRequest()
    request.session = Sessions(cookies.get(settings.SESSION_COOKIE_NAME))
    user = await aget_user(request)
    if not user.is_authenticated:
        return None
    return Login(user.get_username(), expires_at=(await request.session.aget_expiry_date()).timestamp())


async def on_start(service: ChatService) -> None:
    await service.add_room("orders", exist_ok=True)


service = ChatService(hooks={"on_connect": on_connect, "on_start": on_start})


@ensure_csrf_cookie
async def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("The shop is open.")


@require_POST
async def login(request: HttpRequest) -> HttpResponse:
    given = json.loads(request.body)
    user = await aauthenticate(request, username=given["user"], password=given["password"])
    if user is None:
        return JsonResponse({"error": "Wrong name or password"}, status=401)
    await alogin(request, user)
    return HttpResponse(status=204)


@require_POST
async def order(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    if not user.is_authenticated:
        return JsonResponse({"error": "Log in first"}, status=401)
    text = f"{user.get_username()} orders {json.loads(request.body)['text']}"
    # A view that is not asynchronous calls async_to_sync(service.broadcast)(...).
    return JsonResponse({"messageId": await service.broadcast("orders", {"textMessage": text})}, status=201)


@require_POST
async def logout(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    await alogout(request)
    if user.is_authenticated:
        await service.disconnect_user_sockets(user.get_username())
    return HttpResponse(status=204)


urlpatterns = [path("", index), path("login", login), path("orders", order), path("logout", logout)]
#: The service takes /socket.io, starts and closes with the server, and passes on everything else.
application = service.asgi_app(get_asgi_application())


def make_users() -> None:
    """A database with two users, for this example."""
    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    for name, password in (("ann", "tea"), ("bob", "milk")):
        if not users.filter(username=name).exists():
            users.create_user(name, password=password)


if __name__ == "__main__":
    make_users()
    uvicorn.run(application, port=int(os.environ.get("PORT", "8000")), timeout_graceful_shutdown=5)
