"""The items of the contract, each of which must be covered by a test."""

from collections.abc import Mapping
from dataclasses import fields

from chat_service import hooks
from chat_service.cli.app import SECTIONS
from chat_service.commands.table import TABLE
from chat_service.errors import ERROR_TEXTS
from chat_service.http_api.api_options import ApiOptions
from chat_service.options import Options
from chat_service.protocol.notifications import NOTIFICATIONS
from chat_service.service import audience_api, chat_service, composition, server_api, transport_api
from chat_service.stores.redis.redis_options import RedisOptions
from chat_service.transports.socketio.socketio_options import SocketIOOptions
from chat_service.webhooks.webhook_options import WebhookOptions
from tools.gendocs import api
from tools.gendocs.source import Module

#: Requirements of the wire contract beyond the older server, known only from tests.
BETTER = (
    "noLogin before login",
    "noCommand for unknown events",
    "length limit of names",
    "list names checked",
    "id order on every instance",
    "history after rotation",
    "owner kept on mode change",
    "no reading or posting after a removal",
    "no later message reaches a removed user",
    "distinct-name list limits",
    "order of one socket's commands",
    "no leak of internals",
)

TITLES = {
    "command": "Commands",
    "notification": "Notifications",
    "error": "Errors",
    "option": "Options",
    "store_option": "Store options",
    "transport_option": "Socket.IO options",
    "api_option": "HTTP API options",
    "webhook_option": "Webhook options",
    "hook": "Hooks",
    "event": "Events",
    "api": "Server, recovery and transport API",
    "cli": "Command line",
    "better": "Better than the older server",
}


def items() -> Mapping[str, list[str]]:
    """The names of all items by kind, in the order of the tables."""
    call_fields = [field.name for field in fields(hooks.CommandCall)]
    return {
        "command": [row.name for row in TABLE],
        "notification": [row.name for row in NOTIFICATIONS],
        "error": list(ERROR_TEXTS),
        "option": [*(field.name for field in fields(Options)), "hooks"],
        "store_option": _store_options(),
        "transport_option": [field.name for field in fields(SocketIOOptions)],
        "api_option": [field.name for field in fields(ApiOptions)],
        "webhook_option": [field.name for field in fields(WebhookOptions)],
        "hook": [*hooks.SERVICE_HOOKS, "before", "after", *(f"call.{name}" for name in call_fields)],
        "event": list(hooks.EVENTS),
        "api": [
            *(method.name for method in Module(chat_service).methods("ChatService")),
            *(method.name for method in Module(server_api).methods("ServerAPI")),
            *(method.name for method in Module(audience_api).methods("AudienceAPI")),
            *(method.name for method in Module(transport_api).methods("TransportAPI")),
            *(f"cluster_bus.{method.name}" for method in Module(transport_api).methods("ClusterBus")),
            *(f"operations.{method.name}" for method in api.operations_methods()),
            "ChatServiceError",
        ],
        "cli": [name for names in SECTIONS.values() for name in names],
        "better": list(BETTER),
    }


def _store_options() -> list[str]:
    redis = [field.name for field in fields(RedisOptions)]
    return list(dict.fromkeys([*composition.STORE_OPTIONS, *redis]))
