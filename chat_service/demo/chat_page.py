"""The web chat under ``chat-service serve``: the demo's page, with the logins of a configuration."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from chat_service.contracts.capabilities import TakesSites
from chat_service.demo import lobby as rules
from chat_service.demo.lobby import Lobby, Moderation
from chat_service.demo.site import Pages, security_headers
from chat_service.errors import ConfigurationError
from chat_service.hooks import Login
from chat_service.service import ChatService
from chat_service.web_login.login_metrics import LoginCollector
from chat_service.web_login.login_site import LoginSite
from chat_service.web_login.web_login import WebLogin

#: Options that the page needs to show everything that it can, unless the configuration sets them.
PAGE_DEFAULTS: Final[Mapping[str, Any]] = {
    "enable_rooms_management": True,
    "enable_direct_messages": True,
    "enable_userlist_updates": True,
    "enable_access_lists_updates": True,
}


class ChatPage:
    """The page, its files and the requests of its logins, at ``/`` of a service's own port."""

    def __init__(self, login: WebLogin, **site_options: Any) -> None:
        """``site_options``: of ``LoginSite``."""
        self.login = login
        self._site_options = site_options
        self._lobby: Lobby | None = None
        self._moderation: Moderation | None = None

    def hooks(self) -> dict[str, Any]:
        """The hooks of the service."""
        return {
            "on_connect": self._on_connect,
            "on_refresh": self.login.on_refresh,
            "room_create_before": rules.before_room_create,
            "room_message_before": rules.before_message,
            "direct_message_before": rules.before_message,
        }

    def mount_on(self, service: ChatService) -> None:
        """Serve the page on a service's own port. Raises ``ConfigurationError``."""
        transport = service._context.transport
        if not isinstance(transport, TakesSites):
            raise ConfigurationError(f"{transport!r} cannot serve the page")
        self.login.use(service)
        self._lobby, self._moderation = Lobby(service), Moderation(service)
        site = LoginSite(self.login, service, **self._site_options)

        def add_routes(app: web.Application) -> None:
            app.middlewares.append(security_headers)
            site.add_routes(app)
            Pages().add_routes(app)

        service.operations.registry.register(LoginCollector(self.login))
        transport.add_site("/", add_routes, _not_in_asgi)

    async def _on_connect(self, service: ChatService, socket_id: str) -> Login | None:
        login = await self.login.on_connect(service, socket_id)
        if login is not None and self._lobby is not None and self._moderation is not None:
            self._lobby.bind(socket_id, login.name)
            self._moderation.bind(socket_id, login.name)
        return login


async def _not_in_asgi(*_: Any) -> None:
    raise ConfigurationError("the page is served on the service's own port only")
