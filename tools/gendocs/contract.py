"""The items of the contract, each of which needs a test that shows it."""

import importlib
from collections.abc import Mapping
from dataclasses import fields

from chat_service import hooks
from chat_service.commands.table import TABLE
from chat_service.errors import ERROR_TEXTS, ConfigurationError
from chat_service.options import Options
from chat_service.protocol.notifications import NOTIFICATIONS
from chat_service.service import composition, server_api, transport_api
from chat_service.transports.socketio.options import SocketIOOptions
from tools.gendocs.source import Field, Module

#: What the wire contract demands beyond the older server. Nothing but tests can list these.
BETTER = (
    "noLogin before login",
    "noCommand for unknown events",
    "name length limit",
    "list names checked",
    "order on every instance",
    "history after rotation",
    "owner kept on mode change",
    "no race on removal",
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
    "hook": "Hooks",
    "event": "Events",
    "api": "Server, recovery and transport API",
    "better": "Better than the older server",
}


def items() -> Mapping[str, list[str]]:
    """The names of all items by their kind, in the order of the tables."""
    call_fields = [field.name for field in fields(hooks.CommandCall)]
    return {
        "command": [row.name for row in TABLE],
        "notification": [row.name for row in NOTIFICATIONS],
        "error": list(ERROR_TEXTS),
        "option": [field.name for field in fields(Options)],
        "store_option": _store_options(),
        "transport_option": [field.name for field in fields(SocketIOOptions)],
        "hook": [*hooks.SERVICE_HOOKS, "before", "after", *(f"call.{name}" for name in call_fields)],
        "event": list(hooks.EVENTS),
        "api": [
            *(method.name for method in Module(server_api).methods("ServerAPI")),
            "instance_uid",
            *(method.name for method in Module(transport_api).methods("TransportAPI")),
            *(f"cluster_bus.{method.name}" for method in Module(transport_api).methods("ClusterBus")),
        ],
        "better": list(BETTER),
    }


def _store_options() -> list[str]:
    return list(dict.fromkeys([*composition.STORE_OPTIONS, *(field.name for field in redis_option_fields())]))


def redis_option_fields() -> list[Field]:
    """The options of the Redis store; none as long as the service refuses it."""
    try:
        composition.make_store(Options(store="redis"))
    except ConfigurationError:
        return []
    return Module(importlib.import_module("chat_service.stores.redis.options")).fields("RedisOptions")
