"""``on_connect`` hooks for ``serve``: a signed token, or the client's word."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from chat_service.cli.sections import LoginSettings
from chat_service.hooks import Login
from chat_service.jwt_login import JwtLogin

if TYPE_CHECKING:
    from chat_service.service import ChatService


class NameLogin:
    """Takes the client's word for the name. Whoever connects can be anybody."""

    def __init__(self, settings: LoginSettings) -> None:
        self._settings = settings

    async def on_connect(self, service: "ChatService", socket_id: str) -> Login | None:
        """The name of the handshake, or None, which is refused."""
        settings = self._settings
        handshake = service.transport.get_handshake_data(socket_id)
        fields = handshake.query if settings.source == "query" else handshake.auth
        name = fields.get(settings.field_name) if isinstance(fields, Mapping) else None
        return Login(name, ephemeral=settings.ephemeral) if isinstance(name, str) else None


def make_login(settings: LoginSettings) -> NameLogin | JwtLogin:
    """The hooks of a login. Raises ``ConfigurationError``."""
    if settings.type == "name":
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
