"""Commands, rooms and messages in the forms that ActionHero's clients expect."""

from collections.abc import Mapping
from typing import Any, Final

from chat_service.contracts.capabilities import CommandFacts

#: The name of an event whose only argument is a message for a client of ActionHero, and a key of messages.
HERO_MESSAGE: Final = "actionhero"
#: The fields of a message that the service sets.
SERVERS_FIELDS: Final = frozenset({"author", "id", "timestamp"})
#: The only key of a message that is a text, and of one that is neither a text nor an object.
_SAID_KEYS: Final = ("textMessage", "message")


class HeroPayload(dict[str, Any]):
    """What a middleware has made of a message for one of ActionHero's clients: ``HERO_MESSAGE`` in it.

    A class of its own, so that no client can send one.
    """


def room_view(status: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of ``roomGetStatus`` as that of ``roomView``: details of a member become fields of it."""
    members = {}
    for member in status["members"]:
        own = {"id": member["userName"], "joinedAt": member["joinedAt"]}
        details = member.get("details")
        members[member["userName"]] = {**(details if isinstance(details, dict) else {}), **own}
    return {"room": status["roomName"], "membersCount": status["membersCount"], "members": members}


def documentation(commands: Mapping[str, CommandFacts]) -> dict[str, Any]:
    """What ``documentation`` shows: commands by name and by version, of which there is one."""
    shown: dict[str, Any] = {}
    for command in commands.values():
        inputs = {item.name: {"required": True, "description": item.type.doc} for item in command.arguments}
        others = {item.name: {"required": False, "description": item.doc} for item in command.options}
        shown[command.name] = {
            "1": {
                "name": command.name,
                "version": 1,
                "description": command.doc,
                "inputs": {**inputs, **others},
                "outputExample": {},
            }
        }
    return shown


def payload_of(room: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """A room's message in the form of ActionHero."""
    author = message.get("author")
    return {
        "message": said_in(message),
        "room": room,
        "from": "0" if author is None else author,
        "context": "user",
        "sentAt": message.get("timestamp"),
    }


def said_in(message: Mapping[str, Any]) -> Any:
    """What was said: the text of a plain message, else the fields that the sender has given."""
    fields = {key: value for key, value in message.items() if key not in SERVERS_FIELDS}
    if len(fields) == 1:
        for key in _SAID_KEYS:
            if key in fields:
                return fields[key]
    return fields


def as_message(said: Any) -> dict[str, Any]:
    """A message that says this; ``said_in`` is the inverse."""
    if isinstance(said, str):
        return {"textMessage": said}
    if isinstance(said, dict) and not (len(said) == 1 and set(said) <= set(_SAID_KEYS)):
        return dict(said)
    return {"message": said}


def servers_fields(message: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a message that the service has set."""
    return {key: message[key] for key in SERVERS_FIELDS if key in message}
