"""docs/guide/moving-from-npm.md: every name of the npm package is in its tables, every counterpart exists."""

import dataclasses
import re
from collections.abc import Collection

import pytest

import chat_service
from chat_service import ChatService, CommandCall, Options
from chat_service.commands.table import TABLE
from chat_service.errors import ERROR_TEXTS
from chat_service.hooks import EVENTS, SERVICE_HOOKS
from chat_service.protocol.notifications import NOTIFICATIONS
from chat_service.service.composition import STORE_OPTIONS
from chat_service.service.transport_api import ClusterBus, TransportAPI
from chat_service.stores.redis.redis_options import RedisOptions
from chat_service.transports.socketio.socketio_options import SocketIOOptions
from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "guide" / "moving-from-npm.md").read_text("utf-8")


def names_of(record: type) -> set[str]:
    return {field.name for field in dataclasses.fields(record)}


def words(text: str) -> set[str]:
    return set(text.split())


COMMANDS = words("""
    directAddToList directGetAccessList directGetWhitelistMode directMessage directRemoveFromList
    directSetWhitelistMode listOwnSockets roomAddToList roomCreate roomDelete roomGetAccessList roomGetOwner
    roomGetWhitelistMode roomHistoryGet roomHistoryInfo roomJoin roomLeave roomMessage roomNotificationsInfo
    roomRecentHistory roomRemoveFromList roomSetWhitelistMode roomUserSeen systemMessage""")
COMMAND_HOOKS = {command + kind for command in COMMANDS for kind in ("Before", "After")}

#: What the documentation and the sources of chat-service 1.0.0 name, by the section of the page.
NPM: dict[str, set[str]] = {
    "Commands": COMMANDS,
    "Notifications": words("""
        loginConfirmed loginRejected socketConnectEcho socketDisconnectEcho roomJoinedEcho roomLeftEcho
        roomUserJoined roomUserLeft roomAccessListAdded roomAccessListRemoved roomModeChanged
        roomAccessRemoved roomMessage directMessage directMessageEcho systemMessage"""),
    "Errors": words("""
        badArgument internalError invalidName invalidSocket noCommand listLimitExceeded noList noLogin noRoom
        noSocket noUser noUserOnline notAllowed notJoined roomExists timeout userExists userOnline
        wrongArgumentsCount"""),
    "Making a service": words("close instanceUID clusterBus transport ChatServiceError checkArguments"),
    "Options": words("""
        port enableAccessListsUpdates enableDirectMessages enableRoomsManagement enableUserlistUpdates
        historyMaxGetMessages historyMaxSize directListSizeLimit roomListSizeLimit useRawErrorObjects
        closeTimeout heartbeatRate heartbeatTimeout busAckTimeout state stateOptions transport
        transportOptions adapter adapterOptions"""),
    "Store options": words("useCluster lockTTL redisOptions"),
    "Transport options": words("namespace middleware io http ioOptions adapter adapterOptions"),
    "Hooks": COMMAND_HOOKS
    | words("""
        onConnect onDisconnect onStart onClose onJoin onLeave directMessagesChecker roomMessagesChecker"""),
    "Fields of a call": words("""
        server userName id args restArgs bypassHooks bypassPermissions isLocalCall results error data"""),
    "Events": words("ready closed storeConsistencyFailure transportConsistencyFailure lockTimeExceeded"),
    "Server API": words("""
        execUserCommand addUser deleteUser hasUser userHasInList hasDirectAccess disconnectUserSockets addRoom
        deleteRoom hasRoom roomHasInList hasRoomAccess changeRoomOwner changeRoomHistoryMaxSize
        changeAccessListsUpdates changeUserlistUpdates"""),
    "Recovery API": words("instanceRecovery userStateSync roomStateSync getInstanceHeartbeat"),
    "Transport API": words("""
        getHandshakeData bindHandler emitToChannel sendToChannel getSocket getServer disconnectSocket"""),
    "Cluster bus": words("on emit"),
}

#: What there is here.
HERE: dict[str, Collection[str]] = {
    "Commands": {row.name for row in TABLE},
    "Notifications": {row.name for row in NOTIFICATIONS},
    "Errors": set(ERROR_TEXTS),
    "Making a service": {*dir(ChatService), *vars(ChatService()), *chat_service.__all__, "texts"},
    "Options": names_of(Options),
    "Store options": {*STORE_OPTIONS, *names_of(RedisOptions)},
    "Transport options": names_of(SocketIOOptions),
    "Hooks": {*SERVICE_HOOKS, *(row.python_name + kind for row in TABLE for kind in ("_before", "_after"))},
    "Fields of a call": names_of(CommandCall),
    "Events": set(EVENTS),
    "Server API": dir(ChatService),
    "Recovery API": dir(ChatService),
    "Transport API": dir(TransportAPI),
    "Cluster bus": dir(ClusterBus),
}


def rows(section: str) -> list[tuple[str, str]]:
    """The first two cells of every row of a section's tables, the npm name without its arguments."""
    _, _, rest = re.split(rf"^(##+ {section}\n)", PAGE, maxsplit=1, flags=re.M)
    text = re.split(r"^##+ ", rest, maxsplit=1, flags=re.M)[0]
    found = []
    for line in text.splitlines():
        if line.startswith("| `"):
            first, second = (cell.strip() for cell in line.strip("|").split("|")[:2])
            found.append((first.strip("`").partition("(")[0], second))
    return found


@pytest.mark.parametrize("section", NPM)
def test_every_name_has_a_counterpart_that_exists(section: str) -> None:
    found = rows(section)
    names = [name for name, _ in found]
    assert NPM[section] - set(names) == set()
    for name, counterpart in found:
        if counterpart != "nothing":
            match = re.fullmatch(r"`(\w+)`", counterpart)
            assert match and match[1] in HERE[section], f"{name} has no counterpart {counterpart}"


@pytest.mark.parametrize("section", [name for name in NPM if name != "Making a service"])
def test_no_row_is_made_up(section: str) -> None:
    names = [name for name, _ in rows(section)]
    assert sorted(names) == sorted(NPM[section])
