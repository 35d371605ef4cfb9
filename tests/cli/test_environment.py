"""Options from environment variables: what overrides what, every key, and errors that name the variable."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from chat_service.cli.assembly import build_service
from chat_service.cli.option_keys import ROOMS_VARIABLE, all_keys, keys_of
from chat_service.cli.sections import SECTIONS
from chat_service.cli.settings import Settings
from chat_service.cli.toml_text import as_toml
from tests.cli.conftest import invoke

NAME = {"CHAT_LOGIN__TYPE": "name"}


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "chat.toml"
    file.write_text('[service]\nport = 1000\nhistory_max_size = 5\n[login]\ntype = "name"\n', "utf-8")
    return str(file)


def test_what_overrides_what(path: str) -> None:
    given = {"CHAT_SERVICE__PORT": "2000", "CHAT_SERVICE__HOST": "::1"}
    result = invoke("serve", "--config", path, "--port", "3000", "--print-config", env=given)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    for line in (
        "port = 3000  # --port",
        'host = "::1"  # CHAT_SERVICE__HOST',
        "history_max_size = 5  # file",
        "history_max_bytes = 16777216  # default",
        'type = "name"  # file',
        "ephemeral = false  # default",
    ):
        assert line in lines, line
    assert tomllib.loads(result.stdout)["service"]["port"] == 3000
    assert Settings.read(path, given).service["port"] == 2000
    assert Settings.read(path, {}).service["port"] == 1000


def test_a_service_without_a_file() -> None:
    given = {
        **NAME,
        "CHAT_SERVICE__PORT": "0",
        "CHAT_SERVICE__COMMAND_RATE": "none",
        "CHAT_SERVICE__TRACING": "false",
        "CHAT_SERVICE__DRAIN_DELAY": "1.5",
        "CHAT_STORE__URL": "rediss://localhost:1",
        "CHAT_STORE__SENTINELS": "one:26379, two:26380",
        "CHAT_STORE__TLS": '{"ssl_check_hostname": true}',
        "CHAT_TRANSPORT__TRANSPORTS": "websocket",
        "CHAT_TRANSPORT__ALLOWED_HOSTS": "chat.example.org",
        "CHAT_TRANSPORT__CORS_ALLOWED_ORIGINS": '["https://a.example", "https://b.example"]',
        "CHAT_WEBSOCKET__PATH": "/ws",
        "CHAT_LOGIN__EPHEMERAL": "yes",
        "CHAT_PROCESS__WORKERS": "2",
        "CHAT_API__TOKENS": "ci:read:" + "0123456789abcdef" * 2,
        ROOMS_VARIABLE: "lobby, quiet",
    }
    settings = Settings.read(None, given)
    assert settings.service == {"port": 0, "command_rate": None, "tracing": False, "drain_delay": 1.5}
    assert settings.store_type == "redis"
    assert settings.store_options["sentinels"] == [("one", 26379), ("two", 26380)]
    assert settings.store_options["tls"] == {"ssl_check_hostname": True}
    assert settings.transport_options == {
        "transports": ["websocket"],
        "allowed_hosts": "chat.example.org",
        "cors_allowed_origins": ["https://a.example", "https://b.example"],
    }
    assert settings.websocket_options == {"path": "/ws"} and settings.line_options is None
    assert settings.login is not None and settings.login.ephemeral
    assert settings.process.workers == 2
    assert [room.name for room in settings.rooms] == ["lobby", "quiet"]
    assert build_service(settings).options.command_rate is None
    assert ("store", "url") in settings.sources
    # Rooms with more than names.
    table = {ROOMS_VARIABLE: json.dumps(["a", {"name": "b", "whitelist_only": True}])}
    rooms = Settings.read(None, {**NAME, **table}).rooms
    assert [(room.name, room.whitelist_only) for room in rooms] == [("a", False), ("b", True)]
    # Empty variables are not set, as compose passes those that are missing.
    assert Settings.read(None, {**NAME, "CHAT_SERVICE__PORT": "", ROOMS_VARIABLE: ""}).service == {}


def test_every_key_has_a_variable() -> None:
    """Each default, written as text, is read as the same value."""
    for section in set(SECTIONS) - {"rooms"}:
        given: dict[str, str] = {}
        values: dict[str, Any] = {}
        for key in keys_of(section):
            assert all_keys()[key.variable] == key and key.doc, key
            value = {"store": "redis", "login": "name"}[section] if key.name == "type" else key.default
            is_simple = isinstance(value, str | int | float)
            if value is None:
                given[key.variable] = "none"
            else:
                given[key.variable] = str(value) if is_simple else json.dumps(value, default=list)
                values[key.name] = value if is_simple else json.loads(given[key.variable])
        settings, faults = Settings.look(None, {**NAME, **given})
        assert faults == [], section
        printed = tomllib.loads(as_toml(settings))[section]
        assert printed == values, section


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"CHAT_SERVICE__PORT": "x"}, "CHAT_SERVICE__PORT: expected a valid integer"),
        ({"CHAT_SERVICE__PORT": "99999"}, "CHAT_SERVICE__PORT: option port: expected a whole number from 0"),
        ({"CHAT_SERVICE__TRACING": "maybe"}, "CHAT_SERVICE__TRACING: expected a valid boolean"),
        ({"CHAT_STORE__TLS": "x"}, "CHAT_STORE__TLS: expected a JSON object, got another value"),
        ({"CHAT_STORE__TLS": "{"}, "CHAT_STORE__TLS: expected valid JSON: "),
        ({"CHAT_STORE__TYPE": "disk"}, "CHAT_STORE__TYPE: [store] type: expected 'memory' or 'redis'"),
        ({"CHAT_STORE__PREFIX": "x"}, "CHAT_STORE__PREFIX: unknown key in [store] prefix"),
        (
            {"CHAT_TRANSPORT__PING_TIMEOUT": "0"},
            "CHAT_TRANSPORT__PING_TIMEOUT: transport_options ping_timeout: expected seconds",
        ),
        ({"CHAT_LOGIN__TYPE": "jtw"}, "CHAT_LOGIN__TYPE: [login] type: expected 'jwt' or"),
        ({"CHAT_PROCESS__WORKERS": "0"}, "CHAT_PROCESS__WORKERS: [process] workers: expected a whole number"),
        (
            {"CHAT_SERVCE__PORT": "1"},
            "unknown environment variable CHAT_SERVCE__PORT; did you mean CHAT_SERVICE__PORT?",
        ),
        ({ROOMS_VARIABLE: "[{"}, "CHAT_ROOMS: expected names or a JSON list of tables"),
        ({ROOMS_VARIABLE: '[{"name": 5}]'}, "CHAT_ROOMS: [[rooms]] name: expected a text, got 5"),
    ],
)
def test_errors_name_the_variable(path: str, given: dict[str, str], message: str) -> None:
    result = invoke("serve", "--config", path, env=given)
    assert result.exit_code == 3
    assert result.stderr.startswith(f"chat-service: {message}") and result.stderr.count("\n") == 1
    checked = invoke("check", "--config", path, env=given)
    assert checked.exit_code == 3 and message in checked.stderr


def test_all_errors_are_found_at_once(path: str) -> None:
    given = {"CHAT_SERVICE__PORT": "x", "CHAT_SERVICE__HOST": "", "CHAT_TRANSPORT__PING_TIMEOUT": "soon"}
    _, faults = Settings.look(path, given)
    assert [fault.text.partition(":")[0] for fault in faults] == [
        "CHAT_SERVICE__PORT",
        "CHAT_TRANSPORT__PING_TIMEOUT",
    ]


def test_secrets_stay_secret(path: str) -> None:
    password = "nobody knows this"
    given = {
        "CHAT_TRANSPORT__ADMIN_UI": json.dumps({"username": "root", "password": password}),
        "CHAT_STORE__URL": f"redis://me:{password.replace(' ', '-')}@localhost:1",
        "CHAT_STORE__BUS_SECRET": password,
    }
    result = invoke("serve", "--config", path, "--print-config", env=given)
    assert result.exit_code == 0, result.stderr
    assert password not in result.output and password.replace(" ", "-") not in result.output
    assert 'bus_secret = "***"  # CHAT_STORE__BUS_SECRET' in result.stdout
    bad = invoke("serve", "--config", path, env={"CHAT_TRANSPORT__ADMIN_UI": f'{{"password": "{password}"'})
    assert bad.exit_code == 3 and password not in bad.output
    # The long variable wins over the short one.
    both = {"CHAT_STORE_BUS_SECRET": "short", "CHAT_STORE__BUS_SECRET": "long", "CHAT_STORE_URL": "redis://x"}
    assert Settings.read(path, both).store_options["bus_secret"] == "long"
    # A secret alone does not configure a login.
    assert Settings.read(None, {"CHAT_LOGIN__SECRET": "x"}).login is None


def test_variables_of_kubernetes_mean_nothing(path: str) -> None:
    """In a namespace with Services named chat and chat-service, each container has these."""
    given = {
        "CHAT_SERVICE_HOST": "10.0.0.1",
        "CHAT_SERVICE_PORT": "tcp://10.0.0.2:8000",
        "CHAT_SERVICE_PORT_8000_TCP_ADDR": "10.0.0.2",
        "CHAT_SERVICE_SERVICE_PORT": "8000",
        "CHAT_PORT": "tcp://10.0.0.1:80",
    }
    assert Settings.read(path, given) == Settings.read(path, {})


def test_without_the_library(path: str) -> None:
    """Files and the short variables need no library; the long ones say which one is missing."""
    program = (
        "import sys; sys.modules['pydantic_settings'] = None\n"
        "from chat_service.cli.settings import Settings\n"
        f"print(Settings.read({path!r}, {{'CHAT_STORE_URL': 'redis://x'}}).store_type)\n"
        f"_, faults = Settings.look({path!r}, {{'CHAT_SERVICE__PORT': '1'}})\n"
        "print(faults[0].text)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    kind, text = done.stdout.splitlines()
    assert kind == "redis"
    assert "pip install '.[cli]'" in text and "CHAT_SERVICE__PORT" in text


def test_check_without_a_file() -> None:
    result: Any = invoke("check", "--public", "--json", env=NAME)
    found = json.loads(result.stdout)["checks"]
    assert found[0] == {"check": "configuration", "verdict": "ok", "detail": "environment"}
    assert any(item["check"] == "public" and item["verdict"] == "failed" for item in found)
