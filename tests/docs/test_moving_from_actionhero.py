"""docs/guide/moving-from-actionhero.md: names of ActionHero are in its tables, and counterparts exist."""

import dataclasses
import inspect
import re

import pytest

from chat_service import ChatService
from chat_service.actionhero import ActionHeroChat, ChatMiddleware, Connection
from chat_service.service.transport_api import TransportAPI
from chat_service.transports.actionhero import ActionHeroOptions
from chat_service.transports.actionhero.hero_requests import LINE_VERBS
from chat_service.transports.streams import LineOptions, WebSocketOptions
from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "guide" / "moving-from-actionhero.md").read_text("utf-8")


def words(text: str) -> list[str]:
    return text.split()


#: What the documentation of ActionHero names, by the section of the page: of versions 9 to 29.
HERO: dict[str, list[str]] = {
    "Clients": words("""
        connect disconnect roomAdd roomLeave roomView say detailsView documentation action actionWithParams
        file paramAdd paramDelete paramView paramsView paramsDelete connected disconnected reconnect
        reconnecting timeout error end data message welcome api alert"""),
    "Verbs of a connection": [*LINE_VERBS, "roomChange", "listenToRoom", "silenceRoom"],
    "The chatRoom module": words("""
        chatRoom.add chatRoom.destroy chatRoom.exists chatRoom.list chatRoom.roomStatus chatRoom.addMember
        chatRoom.removeMember chatRoom.broadcast chatRoom.addMiddleware chatRoom.generateMemberDetails
        chatRoom.sanitizeMemberDetails api.chatRoom.generateMessagePayload chatRoom.client
        api.chatRoom.runMiddleware api.chatRoom.incomingMessage api.chatRoom.incomingMessagePerConnection
        api.chatRoom.middleware api.chatRoom.globalMiddleware api.chatRoom.keys api.chatRoom.messageChannel
        api.chatRoom.socketRoomBroadcast api.chatRoom.socketRoomStatus api.chatRoom.del
        api.chatRoom.addJoinCallback api.chatRoom.joinCallbacks api.chatRoom.addLeaveCallback
        api.chatRoom.leaveCallbacks api.chatRoom.addSayCallback api.chatRoom.sayCallbacks
        api.chatRoom.setAuthenticationPattern api.chatRoom.authorize api.chatRoom.reAuthenticate"""),
    "Middlewares": ["join(connection, room)", "leave(connection, room)", "onSayReceive", "say", "priority"],
    "Connections": words("""
        connection.id connection.fingerprint connection.type connection.rooms connection.remoteIP
        connection.params connection.totalActions connection.pendingActions connection.messageId
        connection.connectedAt connection.remotePort connection.canChat connection.rawConnection
        connection.sendMessage connection.destroy connection.verbs connection.sendFile"""),
    "Configuration": words("""
        general.startingChatRooms general.simultaneousActions general.welcomeMessage
        general.defaultMiddlewarePriority errors.* socket.port socket.bindIP socket.delimiter
        socket.maxDataLength socket.secure socket.serverOptions socket.setKeepAlive
        websocket.server.pathname websocket.server.pingInterval websocket.server.origins
        websocket.client.cookieKey websocket.clientUrl websocket.clientJsPath websocket.clientJsName
        websocket.destroyClientsOnShutdown"""),
}
OPTIONS = {
    field.name
    for group in (ActionHeroOptions, LineOptions, WebSocketOptions)
    for field in dataclasses.fields(group)
}


def cells(section: str, column: int) -> str:
    """The text of one column of a section's tables."""
    _, found, rest = PAGE.partition(f"\n## {section}\n")
    assert found, section
    rows = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return "\n".join(row.strip("| ").split(" | ")[column] for row in rows)


@pytest.mark.parametrize("section", HERO)
def test_every_name_has_a_row(section: str) -> None:
    named = cells(section, 0)
    assert [name for name in HERO[section] if f"`{name}" not in named] == []


def test_counterparts_exist() -> None:
    chat = ActionHeroChat(ChatService())
    assert [name for name in re.findall(r"`chat\.(\w+)", PAGE) if not hasattr(chat, name)] == []
    fields = {field.name for field in dataclasses.fields(ChatMiddleware)}
    assert {"join", "leave", "say", "on_say_receive", "priority"} <= fields
    others = {"Connection", "cookie_key", "detailsView", "on_connect", "on_disconnect"}
    known = {field.name for field in dataclasses.fields(Connection)} | others
    assert set(re.findall(r"`(\w+)`", cells("Connections", 1))) <= known
    for name in re.findall(r"`service\.transport\.(\w+)", PAGE):
        assert hasattr(TransportAPI, name), name
    for name in re.findall(r"`service\.(\w+)`", PAGE):
        assert hasattr(ChatService, name), name


def test_options_of_the_dialect_and_of_its_transports_exist() -> None:
    named = re.findall(r"`(\w+)`(?:, `(\w+)`)? of (?:the dialect|`\w+`)", cells("Configuration", 1))
    found = {name for pair in named for name in pair if name}
    assert len(found) > 10
    assert found - OPTIONS - {"priority"} == set()


def test_every_option_of_the_dialect_is_explained() -> None:
    named = set(re.findall(r"`(\w+)`", cells("Options of the dialect", 0)))
    assert named == {field.name for field in dataclasses.fields(ActionHeroOptions)}


def test_every_public_method_is_on_the_page() -> None:
    names = [name for name, _ in inspect.getmembers(ActionHeroChat) if not name.startswith("_")]
    assert [name for name in names if f"`chat.{name}" not in PAGE] == []
