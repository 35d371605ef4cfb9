"""Pages generated from docstrings: the server API and the plugin contracts."""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from chat_service.actionhero import hero_chat
from chat_service.contracts import activity_store, instance_store, room_store, user_store
from chat_service.contracts import bus as bus
from chat_service.contracts import capabilities as capabilities
from chat_service.contracts import store as stores
from chat_service.contracts import transport as transports
from chat_service.operations import api as operations
from chat_service.service import audience_api, chat_service, server_api, transport_api
from tools.gendocs.markdown import block, code, page, table
from tools.gendocs.source import Method, Module


def server_api_page() -> str:
    service = Module(chat_service)
    return page(
        "Server API",
        "The API for server code. Methods declared `async def` must be awaited. Others return immediately; "
        "if they return a task, await it to see errors.\n\n",
        "## ChatService\n\n" + service.class_doc("ChatService") + "\n\n",
        _methods(service.methods("ChatService"), 3),
        _sections(Module(server_api).methods("ServerAPI")),
        _sections(Module(audience_api).methods("AudienceAPI")),
        "## service.transport\n\n" + Module(transport_api).class_doc("TransportAPI") + "\n\n",
        _methods(Module(transport_api).methods("TransportAPI"), 3),
        "## service.cluster_bus\n\n" + Module(transport_api).class_doc("ClusterBus") + "\n\n",
        _methods(Module(transport_api).methods("ClusterBus"), 3, prefix="cluster_bus."),
        "## service.operations\n\n" + Module(operations).class_doc("Operations") + "\n\n",
        _methods(operations_methods(), 3, prefix="operations."),
        "## ActionHeroChat\n\n" + Module(hero_chat).class_doc("ActionHeroChat") + "\n\n",
        _methods(Module(hero_chat).methods("ActionHeroChat"), 3),
        "## Handshake\n\n" + _value_type(Module(transports), "Handshake"),
    )


def operations_methods() -> list[Method]:
    """The public methods of ``service.operations``."""
    methods = Module(operations).methods("Operations")
    return [method for method in methods if method.section != "Called by the service's lifecycle"]


#: The protocols that ``Store`` combines.
STORE_PARTS = {
    "UserStore": user_store,
    "RoomStore": room_store,
    "ActivityStore": activity_store,
    "InstanceStore": instance_store,
}


def plugins_page() -> str:
    return page(
        "Stores and transports",
        "The contracts for plugins. [Architecture](../concepts/architecture.md) shows how the parts fit.\n\n",
        _contract("Store", stores, ("Store",), STORE_PARTS),
        _contract("Bus", bus, ("Bus", "BusListener")),
        _contract("Transport", transports, ("Transport", "TransportHandler")),
        _capabilities(),
    )


def _capabilities() -> str:
    source = Module(capabilities)
    parts = [f"## Optional capabilities\n\nModule {code(source.name)}. {source.doc()}\n\n"]
    for name, kind in vars(capabilities).items():
        if getattr(kind, "_is_protocol", False) and kind.__module__ == capabilities.__name__:
            parts.append(f"### {name}\n\n{source.class_doc(name)}\n\n")
            parts.append(_methods(source.methods(name), 4, prefix=name + "."))
    return "".join(parts)


def _contract(
    title: str,
    module: ModuleType,
    protocols: tuple[str, ...],
    inherited: Mapping[str, ModuleType] = MappingProxyType({}),
) -> str:
    """``inherited``: the protocols that the contract combines, with their modules."""
    source = Module(module)
    parts = [f"## {title}\n\nModule {code(source.name)}. {source.doc()}\n\n"]
    for name in (*protocols, *inherited):
        place = Module(inherited[name]) if name in inherited else source
        parts.append(f"### {name} methods\n\n{place.class_doc(name)}\n\n")
        parts.append(_methods(place.methods(name), 4, prefix=title + "."))
    parts.append(f"### {title} value types\n\n")
    parts.extend(f"#### {name}\n\n" + _value_type(source, name) for name in source.value_types())
    return "".join(parts)


def _value_type(source: Module, name: str) -> str:
    fields = source.fields(name)
    rows = [
        (code(field.name), code(field.type), "" if field.default is None else code(field.default), field.doc)
        for field in fields
    ]
    text = source.class_doc(name) + "\n\n"
    return text + table(("field", "type", "default", "meaning"), rows) if rows else text


def _sections(methods: list[Method]) -> str:
    parts: list[str] = []
    section = None
    for method in methods:
        if method.section != section:
            section = method.section
            parts.append(f"## {section}\n\n")
        parts.append(_methods([method], 3))
    return "".join(parts)


def _methods(methods: list[Method], level: int, prefix: str = "") -> str:
    parts = []
    for method in methods:
        parts.append(f"{'#' * level} {prefix}{method.name}\n\n")
        if method.is_property:
            returned = method.signature.partition(" -> ")[2].removesuffix(": ...")
            parts.append(f"A property, {code(returned)}.\n\n")
        else:
            parts.append(block("python", method.signature, "a signature"))
        parts.append(method.doc + "\n\n")
    return "".join(parts)
