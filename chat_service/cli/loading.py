"""``module:attribute`` to a service."""

import difflib
import inspect
import os
import sys
import sysconfig
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import chat_service
from chat_service.cli.failures import CliError, ExitCode
from chat_service.service import ChatService


def load_service(spec: str, app_dir: str) -> ChatService:
    """Import a service, or call what makes one. ``app_dir``: where modules are looked for first.

    Raises ``CliError`` with one line that says what is wrong.
    """
    module_name, colon, path = spec.partition(":")
    if not module_name or not colon or not path:
        raise CliError(ExitCode.USAGE, f"expected MODULE:ATTRIBUTE, such as main:service, got {spec}")
    directory = str(Path(app_dir).resolve())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    found = _attribute(_module(module_name, directory), module_name, path)
    return found if isinstance(found, ChatService) else _called(found, spec)


def _module(name: str, directory: str) -> Any:
    try:
        is_there = not name.startswith(".") and find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):
        is_there = False
    except Exception as error:
        # A package above it was imported, and failed.
        raise _failure(f"module {name} cannot be imported", error) from error
    if not is_there:
        raise CliError(
            ExitCode.CONFIGURATION, f"there is no module {name} in {directory} or on the Python path"
        )
    try:
        return import_module(name)
    except Exception as error:
        raise _failure(f"module {name} cannot be imported", error) from error


def _attribute(module: Any, module_name: str, path: str) -> Any:
    found = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            names = [known for known in dir(found) if not known.startswith("_")]
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise CliError(ExitCode.CONFIGURATION, f"module {module_name} has no {path}{hint}") from None
    return found


def _called(factory: Any, spec: str) -> ChatService:
    if not callable(factory):
        kind = type(factory).__name__
        raise CliError(
            ExitCode.CONFIGURATION, f"{spec} is no ChatService and no function that makes one: {kind}"
        )
    try:
        made = factory()
    except Exception as error:
        raise _failure(f"{spec} failed", error) from error
    if inspect.iscoroutine(made):
        made.close()
        raise CliError(ExitCode.CONFIGURATION, f"{spec} is a coroutine function: make it a plain one")
    if not isinstance(made, ChatService):
        raise CliError(ExitCode.CONFIGURATION, f"{spec} made no ChatService: {type(made).__name__}")
    return made


def _failure(what: str, error: Exception) -> CliError:
    """One line, with the place in the application's code."""
    place = ""
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}, line {error.lineno})"
        text = f"{type(error).__name__}: {error.msg}"
    else:
        found = _place(error)
        if found is not None:
            place = f" ({found.filename}, line {found.lineno})"
        text = f"{type(error).__name__}: {error}"
    return CliError(ExitCode.CONFIGURATION, " ".join(f"{what}: {text}{place}".split()))


def _place(error: Exception) -> traceback.FrameSummary | None:
    """The innermost place in the application's own code, or in any code but this package's."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", _PACKAGE))
    ]
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    return next(reversed(own or frames), None)


#: Where this package is, and where libraries are.
_PACKAGE: Final = str(Path(chat_service.__file__).parent) + os.sep
_LIBRARIES: Final = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")})
