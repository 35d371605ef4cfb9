"""Makes a service, with its logins and rooms, from the settings of a file."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chat_service.cli.login_settings import LoginSettings
from chat_service.cli.sections import RoomSettings
from chat_service.cli.settings import Fault, Settings
from chat_service.demo.chat_page import ChatPage
from chat_service.errors import ConfigurationError
from chat_service.hooks import Login
from chat_service.http_api.api_options import ApiOptions
from chat_service.jwt_login import JwtLogin
from chat_service.options import Options
from chat_service.service import ChatService
from chat_service.stores.redis.redis_options import RedisOptions
from chat_service.transports.actionhero import ActionHeroDialect, ActionHeroOptions, PrimusDialect
from chat_service.transports.socketio.socketio_options import SocketIOOptions
from chat_service.transports.streams import (
    LineOptions,
    LineTransport,
    WebSocketOptions,
    WebSocketTransport,
)
from chat_service.uploads import UploadOptions, Uploads
from chat_service.web_login import OidcLogin, OidcSettings, PasswordFile, Sessions, WebLogin
from chat_service.webhooks.webhook_options import WebhookOptions, check_policies

if TYPE_CHECKING:
    from chat_service.service import ChatService


NO_LOGIN = (
    'configure how users log in: add a section [login] with type = "jwt", or, for experiments, with '
    'type = "name", which trusts the name that a client sends; or set connect_url in [webhooks]'
)


def build_service(settings: Settings) -> ChatService:
    """Make the service. Raises ``ConfigurationError`` with the path of the file, or with the variable."""
    try:
        return _build(settings)
    except ConfigurationError as error:
        raise ConfigurationError(settings.placed(str(error))) from None


def _build(settings: Settings) -> ChatService:
    hooks: dict[str, Any] = {"on_start": _RoomMaker(settings.rooms)}
    page: ChatPage | None = None
    if settings.login is not None and settings.login.has_page:
        page = make_page(settings.login, is_shared=settings.store_type == "redis")
        hooks |= page.hooks()
    elif settings.login is not None:
        login = make_login(settings.login)
        hooks["on_connect"] = login.on_connect
        if isinstance(login, JwtLogin):
            hooks["on_refresh"] = login.on_refresh
    webhooks = WebhookOptions.from_mapping(settings.webhook_options)
    if webhooks.connect_url is None and "on_connect" not in hooks:
        raise ConfigurationError(NO_LOGIN)
    # The start would say it; here it is known before.
    check_policies(webhooks, has_connect="on_connect" in hooks, has_refresh="on_refresh" in hooks)
    service = ChatService(
        hooks=hooks,
        store=settings.store_type,
        store_options=dict(settings.store_options),
        transport=make_transports(settings),
        transport_options=dict(settings.transport_options),
        api_options=dict(settings.api_options),
        webhook_options=dict(settings.webhook_options),
        **settings.service,
    )
    if page is not None:
        page.mount_on(service)
    if settings.upload_options is not None:
        Uploads(service, settings.upload_options)
    return service


def make_transports(settings: Settings) -> list[Any]:
    """The transports of a file: Socket.IO, and those that have a section."""
    transports: list[Any] = ["socket.io"]
    hero = settings.actionhero_options
    # Also where no section uses them.
    ActionHeroOptions.from_mapping(hero)
    if settings.websocket_options is not None:
        dialect = PrimusDialect(**hero) if settings.websocket_dialect == "actionhero" else None
        options = WebSocketOptions.from_mapping(settings.websocket_options)
        transports.append(WebSocketTransport(options, dialect=dialect))
    if settings.line_options is not None:
        of_lines = ActionHeroDialect(**hero) if settings.line_dialect == "actionhero" else None
        transports.append(LineTransport(LineOptions.from_mapping(settings.line_options), dialect=of_lines))
    return transports


def find_faults(settings: Settings, known: Sequence[Fault]) -> list[Fault]:
    """All errors of a file. ``known``: those found while reading it."""
    faults = [*known]
    # If the file cannot be read, or a section is invalid, nothing more can be checked.
    sections = {fault.section for fault in known}
    if "" in sections:
        return faults
    faults += _option_faults("service", Options.from_keywords, settings.service)
    if settings.store_type == "redis":
        faults += _option_faults("store", RedisOptions.from_mapping, settings.store_options)
    faults += _option_faults("api", ApiOptions.from_mapping, settings.api_options)
    faults += _option_faults("webhooks", WebhookOptions.from_mapping, settings.webhook_options)
    faults += _option_faults("transport", SocketIOOptions.from_mapping, settings.transport_options)
    faults += _option_faults("websocket", WebSocketOptions.from_mapping, settings.websocket_options or {})
    faults += _option_faults("lines", LineOptions.from_mapping, settings.line_options or {})
    faults += _option_faults("actionhero", ActionHeroOptions.from_mapping, settings.actionhero_options)
    faults += _option_faults("uploads", UploadOptions.from_mapping, settings.upload_options or {})
    login = settings.login
    if login is not None:
        faults += _attempt("login", lambda: _check_login(login))
    elif "login" not in sections and settings.webhook_options.get("connect_url") is None:
        faults.append(Fault(section="login", text=NO_LOGIN))
    if not faults:
        faults += _attempt("", lambda: _build(settings))
    return faults


def _attempt(section: str, work: Callable[[], object]) -> list[Fault]:
    text = _fault(lambda _: work(), {})
    return [] if text is None else [Fault(section=section, text=text)]


def _option_faults(
    section: str, make: Callable[[Mapping[str, Any]], object], given: Mapping[str, Any]
) -> list[Fault]:
    """The errors of options that are checked together. Leaves out each in turn to find further ones."""
    left, faults = dict(given), []
    while (text := _fault(make, left)) is not None:
        faults.append(Fault(section=section, text=text))
        # An option is at fault if leaving it out changes or removes the error.
        guilty = [name for name in left if _fault(make, _without(left, name)) != text]
        if not guilty:
            break
        left = _without(left, guilty[0])
    return faults


def _fault(make: Callable[[Mapping[str, Any]], object], options: Mapping[str, Any]) -> str | None:
    try:
        make(options)
    except ConfigurationError as error:
        return str(error)
    return None


def _without(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != name}


def _check_login(settings: LoginSettings) -> None:
    if settings.has_page:
        make_page(settings)
    else:
        make_login(settings)


class _RoomMaker:
    """An ``on_start`` hook that creates missing rooms."""

    def __init__(self, rooms: tuple[RoomSettings, ...]) -> None:
        self._rooms = rooms

    async def __call__(self, service: ChatService) -> None:
        for room in self._rooms:
            given = {name: getattr(room, name) for name in RoomSettings.__slots__ if name != "name"}
            await service.add_room(room.name, **given, exist_ok=True)


class NameLogin:
    """Trusts the name that the client sends, so anyone can log in as any user."""

    def __init__(self, settings: LoginSettings) -> None:
        self._settings = settings

    async def on_connect(self, service: "ChatService", socket_id: str) -> Login | None:
        """The name in the handshake, or None, which is refused."""
        settings = self._settings
        handshake = service.transport.get_handshake_data(socket_id)
        fields = handshake.query if settings.source == "query" else handshake.auth
        name = fields.get(settings.field_name) if isinstance(fields, Mapping) else None
        return Login(name, ephemeral=settings.ephemeral) if isinstance(name, str) else None


def make_login(settings: LoginSettings) -> NameLogin | JwtLogin:
    """The hooks of a login. Raises ``ConfigurationError``."""
    if "name" in settings.kinds:
        return NameLogin(settings)
    return JwtLogin(
        secret=settings.secret,
        key_file=settings.jwks_file or settings.public_key_file,
        algorithms=settings.algorithms,
        user_claim=settings.user_claim,
        audience=settings.audience,
        issuer=settings.issuer,
        leeway=settings.leeway,
        require_expiry=settings.require_expiry,
        source=settings.source,
        field=settings.field_name,
        ephemeral=settings.ephemeral,
    )


def make_page(settings: LoginSettings, *, is_shared: bool = False) -> ChatPage:
    """The web chat with its logins. ``is_shared``: several instances may serve it. Raises
    ``ConfigurationError``.
    """
    kinds = settings.kinds
    if is_shared and settings.session_secret is None and kinds != ("name",):
        raise ConfigurationError(
            "[login] needs session_secret with Redis, where all instances must know it: "
            "`openssl rand -hex 32` prints a good one, CHAT_LOGIN_SESSION_SECRET can set it"
        )
    return ChatPage(
        WebLogin(
            Sessions(
                settings.session_secret,
                ttl=settings.session_ttl,
                idle=settings.session_idle,
                lifetime=settings.session_lifetime,
            ),
            users=PasswordFile(settings.users_file) if settings.users_file is not None else None,
            oidc=_oidc(settings),
            client_login=make_login(settings) if {"jwt", "name"} & set(kinds) else None,
            attempts_per_address=settings.attempts_per_address,
            attempts_per_name=settings.attempts_per_name,
            ephemeral=settings.ephemeral,
        ),
        label=settings.oidc_label,
        login_url=settings.login_url,
        public_url=settings.public_url,
    )


def _oidc(settings: LoginSettings) -> OidcLogin | None:
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    return OidcLogin(
        OidcSettings(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret,
            scopes=settings.oidc_scopes,
            user_claim=settings.oidc_user_claim,
        )
    )
