"""Public names match the modules, and tables match the code they describe."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import subprocess
import sys
import typing
from collections.abc import Iterator
from types import ModuleType

import pytest

import chat_service
from chat_service.commands.spec import COMMON_ERRORS, Command
from chat_service.commands.table import COMMANDS, TABLE
from chat_service.errors import ERROR_TEXTS
from chat_service.hooks import EVENTS, SERVICE_HOOKS
from chat_service.options import Options
from chat_service.protocol.names import snake_case
from chat_service.protocol.notifications import NOTIFICATIONS
from chat_service.service.chat_service import OptionKeywords


def modules() -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages(chat_service.__path__, "chat_service."):
        if not info.name.endswith("__main__"):
            yield importlib.import_module(info.name)


MODULES = [chat_service, *modules()]
WITH_ALL = [module for module in MODULES if hasattr(module, "__all__")]


@pytest.mark.parametrize("module", WITH_ALL, ids=lambda module: module.__name__)
def test_all_is_sorted_and_exists(module: ModuleType) -> None:
    names = list(module.__all__)
    assert len(names) == len(set(names))
    assert names == sorted(names)
    for name in names:
        assert getattr(module, name) is not None


def test_root_exports_all_its_imports() -> None:
    tree = ast.parse(inspect.getsource(chat_service))
    (checking,) = (
        node for node in tree.body if isinstance(node, ast.If) and "not" not in ast.unparse(node.test)
    )
    imports = [node for node in checking.body if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(checking.body)
    shown = {node.module: tuple(name.name for name in node.names) for node in imports}
    assert shown == chat_service._HOMES
    assert sorted(name for names in shown.values() for name in names) == chat_service.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        chat_service._load("nothing")


def test_importing_the_root_imports_no_libraries() -> None:
    code = "import sys, chat_service; print({'aiohttp', 'redis', 'socketio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_public_names_have_docstrings() -> None:
    for module in MODULES:
        assert module.__doc__, module.__name__
    for name in chat_service.__all__:
        value = getattr(chat_service, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


@pytest.mark.parametrize("owner", ["ChatService", "Store", "Transport", "Clock", "Options"])
def test_public_methods_have_docstrings(owner: str) -> None:
    for name, value in inspect.getmembers(getattr(chat_service, owner), inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.getdoc(value), f"{owner}.{name}"


def test_all_versions_agree() -> None:
    assert all(part.isdigit() for part in chat_service.__version__.split(".")[:2])


# The command table


@pytest.mark.parametrize("command", TABLE, ids=lambda command: command.name)
def test_handler_parameters_match_their_rows(command: Command) -> None:
    parameters = list(inspect.signature(command.handler).parameters.values())
    assert [item.name for item in parameters[:2]] == ["context", "call"]
    declared = [snake_case(argument.name) for argument in command.arguments]
    required = [item.name for item in parameters[2:] if item.default is inspect.Parameter.empty]
    assert required == declared
    assert all(item.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for item in parameters)
    assert inspect.iscoroutinefunction(command.handler)
    assert command.handler.__name__ == command.python_name


@pytest.mark.parametrize("command", TABLE, ids=lambda command: command.name)
def test_handler_results_match_their_rows(command: Command) -> None:
    returned = typing.get_type_hints(command.handler)["return"]
    assert (returned is type(None)) == (command.result_type == "null")


@pytest.mark.parametrize("command", TABLE, ids=lambda command: command.name)
def test_rows_are_complete(command: Command) -> None:
    for text in (command.result, command.result_type, command.who, command.doc):
        assert text.strip()
    assert command.doc.endswith(".")
    assert set(command.errors) <= set(ERROR_TEXTS)
    assert not set(command.errors) & set(COMMON_ERRORS)
    assert list(command.errors) == sorted(set(command.errors), key=command.errors.index)
    assert command.needs_user or not command.needs_socket
    # One command takes many rooms.
    is_about_one_room = command.name.startswith("room") and command.name != "roomGetUnread"
    assert command.takes_room is is_about_one_room


def test_every_error_in_the_table_is_raised_somewhere() -> None:
    told = {*COMMON_ERRORS, *(code for command in TABLE for code in command.errors)}
    # Of logins, unknown events and the server API.
    assert set(ERROR_TEXTS) - told == {"noCommand", "userExists", "userOnline"}


def test_number_of_contract_items() -> None:
    assert len(TABLE) == len(COMMANDS) == 32
    assert [command.name for command in TABLE] == sorted(COMMANDS)
    assert len({row.name for row in NOTIFICATIONS}) == len(NOTIFICATIONS) == 23
    assert len(ERROR_TEXTS) == 26
    assert len(SERVICE_HOOKS) == 12
    assert len(EVENTS) == 5


# Options


def test_option_keywords_match_the_options() -> None:
    assert set(OptionKeywords.__annotations__) == {item.name for item in dataclasses.fields(Options)}
    assert OptionKeywords.__required_keys__ == frozenset()


def test_option_keyword_types_match_the_options() -> None:
    of_options, of_keywords = typing.get_type_hints(Options), typing.get_type_hints(OptionKeywords)
    for name in ("store_options", "transport_options", "api_options", "webhook_options"):
        # A mapping is passed to callers as a dict.
        assert of_options.pop(name)
        assert of_keywords.pop(name)
    assert of_keywords == of_options


def test_every_option_has_a_doc() -> None:
    for item in dataclasses.fields(Options):
        assert item.metadata["doc"].endswith("."), item.name


def test_plugins_conform_to_their_protocols() -> None:
    for protocol, classes in (
        (chat_service.Store, [chat_service.MemoryStore]),
        (chat_service.Clock, [chat_service.SystemClock]),
    ):
        for name, wanted in inspect.getmembers(protocol, inspect.isfunction):
            if name.startswith("_"):
                continue
            for plugin in classes:
                method = getattr(plugin, name)
                if inspect.isbuiltin(method):
                    # A function of Python itself, without a signature: it takes no argument.
                    assert list(inspect.signature(wanted).parameters) == ["self"], name
                    assert isinstance(getattr(plugin(), name)(), typing.get_type_hints(wanted)["return"])
                    continue
                given = inspect.signature(method)
                assert list(given.parameters) == list(inspect.signature(wanted).parameters), name
