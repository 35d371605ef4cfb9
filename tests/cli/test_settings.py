"""The file of serve: every section, what is refused, secrets, and how it is printed."""

import asyncio
import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from chat_service import ConfigurationError
from chat_service.cli.assembly import build_service
from chat_service.cli.sections import SECRETS, SECTIONS
from chat_service.cli.settings import Settings
from chat_service.cli.toml_text import as_toml, literal
from chat_service.redaction import redacted
from chat_service.transports.actionhero import PrimusDialect
from chat_service.transports.streams.plain_lines import PlainLines
from tests.cli.conftest import invoke
from tests.conformance.stream_client import connect_line, connect_socket
from tests.support.patience import PATIENCE

WHOLE = """
[service]
host = "127.0.0.1"
port = 0
enable_rooms_management = true
history_max_size = 500

[store]
type = "redis"
url = "rediss://user:hidden@localhost:6379/3"
prefix = "mine"
sentinels = ["one:26379", ["two", 26380]]
bus_secret = "also hidden"
tls = { ssl_ca_certs = "ca.pem" }

[transport]
transports = ["websocket"]
ping_interval = 10

[websocket]
compression = true

[lines]
port = 0

[uploads]
folder = "files"
secret = "hidden as well, and as long as necessary"

[login]
type = "jwt"
secret = "hidden, too, and long enough to sign with"
audience = "chat"

[process]
workers = 2
log_format = "json"

[[rooms]]
name = "default"
owner = "admin"
adminlist = ["alice"]

[[rooms]]
name = "quiet"
whitelist_only = true
history_max_size = 0
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str) -> str:
        path = tmp_path / "chat.toml"
        path.write_text(text, "utf-8")
        return str(path)

    return write


def test_a_whole_file(write: Any) -> None:
    settings = Settings.read(write(WHOLE), {})
    assert settings.service["history_max_size"] == 500
    assert settings.store_type == "redis"
    assert settings.store_options["sentinels"] == [("one", 26379), ["two", 26380]]
    assert settings.transport_options == {"transports": ["websocket"], "ping_interval": 10}
    assert settings.login is not None and (settings.login.type, settings.login.field_name) == ("jwt", "token")
    assert (settings.process.workers, settings.process.log_level) == (2, "info")
    assert [room.name for room in settings.rooms] == ["default", "quiet"]
    assert settings.rooms[0].adminlist == ("alice",)
    service = build_service(settings)
    assert (service.options.port, service.options.enable_rooms_management) == (0, True)


def test_nothing_is_a_memory_store_without_logins(write: Any) -> None:
    settings = Settings.read(write(""), {})
    assert (settings.store_type, settings.login, settings.rooms) == ("memory", None, ())
    with pytest.raises(ConfigurationError, match="configure how users log in"):
        build_service(settings)


def test_a_url_is_a_redis(write: Any) -> None:
    assert Settings.read(write('[store]\nurl = "redis://localhost"'), {}).store_type == "redis"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[servce]", "unknown section servce; did you mean service?"),
        ("service = 5", "service: expected a section [service], got 5"),
        ("[service]\nprot = 1", "unknown key in [service] prot; did you mean port?"),
        ('[service]\nstore = "redis"', "[service] has no store: it has the section [store]"),
        ("[service.transport_options]", "[service] has no transport: it has the section [transport]"),
        ('[store]\ntype = "redsi"', "[store] type: expected 'memory' or 'redis', got 'redsi'"),
        ('[store]\ntype = "memory"\nurl = "x"', "unknown key in [store] url"),
        ('[store]\nurl = "redis://x"\nprefx = "x"', "unknown key in [store] prefx; did you mean prefix?"),
        ('[store]\nurl = "redis://x"\nsentinels = "x"', "[store] sentinels: expected a list, got 'x'"),
        (
            "[transport]\nping_intervall = 1",
            "unknown key in [transport] ping_intervall; did you mean ping_interval?",
        ),
        ("[transport]\napp = 1", "unknown key in [transport] app"),
        ("[login]", "[login] needs type"),
        (
            '[login]\ntype = "jtw"',
            "[login] type: expected 'jwt' or 'name' or 'password' or 'oidc', got",
        ),
        ('[login]\ntype = "jwt"', "[login] jwt needs either secret, public_key_file or jwks_file"),
        ('[login]\ntype = "name"\nsecret = "x"', '[login] secret is for type = "jwt"'),
        (
            '[login]\ntype = "name"\nsource = "header"',
            "[login] source: expected 'auth' or 'query', got 'header'",
        ),
        ('[login]\ntype = "jwt"\nsecret = 5', "[login] secret: expected a text, got 5"),
        ('[login]\ntype = "jwt"\nsecret = "x"\nleeway = true', "[login] leeway: expected a number, got True"),
        ("[process]\nworkers = 0", "[process] workers: expected a whole number from 1, got 0"),
        ('[process]\nlog_level = "loud"', "[process] log_level: expected 'debug' or 'info'"),
        ("rooms = 5", "rooms: expected a list, got 5"),
        ("rooms = [5]", "[[rooms]]: expected keys and values, got 5"),
        ("[[rooms]]", "[[rooms]] needs name"),
        ('[[rooms]]\nname = "a"\nowners = "b"', "unknown key in [[rooms]] owners; did you mean owner?"),
        ('[[rooms]]\nname = "a"\nwhitelist = "b"', "[[rooms]] whitelist: expected a list, got 'b'"),
        (
            '[[rooms]]\nname = "a"\nwhitelist = [1]',
            "[[rooms]] whitelist: expected a list of strings, got [1]",
        ),
        (
            '[[rooms]]\nname = "a"\nwhitelist_only = 1',
            "[[rooms]] whitelist_only: expected true or false, got 1",
        ),
        ("port = ", "Invalid value (at end of document)"),
    ],
)
def test_invalid_settings_are_refused(write: Any, text: str, message: str) -> None:
    path = write(text)
    result = invoke("serve", "--config", path)
    assert result.exit_code == 3
    assert result.stderr.startswith(f"chat-service: {path}: {message}"), result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[service]\nport = "x"', "option port: expected a whole number from 0 to 65535, got 'x'"),
        (
            '[store]\nurl = "http://x"',
            "store_options url: a Redis URL starts with one of redis://, rediss://",
        ),
        (
            "[transport]\nping_timeout = 0",
            "transport_options ping_timeout: expected seconds, more than 0, got 0",
        ),
    ],
)
def test_invalid_options_are_refused(write: Any, text: str, message: str) -> None:
    path = write('[login]\ntype = "name"\n' + text)
    result = invoke("serve", "--config", path)
    assert (result.exit_code, result.stderr.partition(message)[1]) == (3, message), result.stderr
    assert result.stderr.startswith(f"chat-service: {path}: ") and result.stderr.count("\n") == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    result = invoke("serve", "--config", str(tmp_path / "none.toml"))
    assert (result.exit_code, result.stderr) == (
        3,
        f"chat-service: {tmp_path}/none.toml: No such file or directory\n",
    )
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    assert invoke("serve", "--config", str(tmp_path / "bytes.toml")).exit_code == 3


def test_secrets_of_the_environment(write: Any) -> None:
    environment = {name: f"redis://{name.lower()}:1" for name in SECRETS}
    settings = Settings.read(write(WHOLE), environment)
    assert settings.store_options["url"] == "redis://chat_store_url:1"
    assert settings.store_options["bus_secret"] == "redis://chat_store_bus_secret:1"
    assert settings.store_options["sentinel_password"] == "redis://chat_store_sentinel_password:1"
    assert settings.login is not None and settings.login.secret == "redis://chat_login_secret:1"
    without = Settings.read(write(""), {"CHAT_LOGIN_SECRET": "x", "CHAT_STORE_URL": ""})
    assert without.login is None and without.store_type == "memory"


def test_print_config_means_the_same(write: Any) -> None:
    path = write(WHOLE)
    printed = invoke("serve", "--config", path, "--print-config").stdout
    assert "hidden" not in printed
    given = tomllib.loads(printed)
    assert set(given) == set(SECTIONS)
    assert given["store"]["url"] == "rediss://user:***@localhost:6379/3"
    assert given["store"]["bus_secret"] == given["login"]["secret"] == "***"
    assert given["service"]["heartbeat_rate"] == 10.0
    secrets = {
        "CHAT_STORE_URL": "rediss://user:hidden@localhost:6379/3",
        "CHAT_STORE_BUS_SECRET": "also hidden",
    }
    secrets["CHAT_LOGIN_SECRET"] = "hidden, too, and long enough to sign with"
    secrets["CHAT_UPLOADS_SECRET"] = "hidden as well, and as long as necessary"
    again, before = Settings.read(write(printed), secrets), Settings.read(write(WHOLE), {})
    assert as_toml(dataclasses.replace(again, path="")) == as_toml(dataclasses.replace(before, path=""))
    one, other = (build_service(again).options for _ in range(2))
    # Transports are objects.
    assert [each.options for each in one.transport[1:]] == [each.options for each in other.transport[1:]]
    assert dataclasses.replace(one, transport="socket.io") == dataclasses.replace(
        other, transport="socket.io"
    )


def test_values_of_toml() -> None:
    values = {
        "text": 'a "b"\\ \n\x7f',
        "flag": True,
        "list": (1, 2.5, ["x"]),
        "table": {"a b": 1},
        "none": {},
    }
    text = "\n".join(f"{name} = {literal(value)}" for name, value in values.items())
    assert tomllib.loads(text) == {**values, "list": [1, 2.5, ["x"]]}


def test_passwords_in_the_query_of_a_url_are_redacted() -> None:
    url = "unix:///run/redis.sock?username=me&password=word&db=2"
    assert redacted("url", url) == "unix:///run/redis.sock?username=me&password=***&db=2"
    url = "rediss://me:word@host/1?ssl_password=other&client_name=x"
    assert redacted("url", url) == "rediss://me:***@host/1?ssl_password=***&client_name=x"
    assert redacted("sentinel_tls", {"ssl_password": "word"}) == {"ssl_password": "***"}


def test_tokens_of_the_api(write: Any, tmp_path: Path) -> None:
    token = "0123456789abcdef" * 2
    login = '\n[login]\ntype = "name"\n'
    path = write(f'[api]\nmax_streams = 5\ntokens.ci = {{ token = "{token}", scopes = ["read"] }}\n{login}')
    service = build_service(Settings.read(path, {}))
    assert service.operations.has_api and token not in repr(Settings.read(path, {}))
    result = invoke("serve", "--config", path, "--print-config")
    assert token not in result.output
    printed = tomllib.loads(result.stdout)["api"]
    assert printed["tokens"] == {"ci": "***"} and printed["max_streams"] == 5
    # From the environment, as lines or in a file.
    (tmp_path / "tokens").write_text(f"ci:read:{token}\n", "utf-8")
    for given in (
        {"CHAT_API_TOKENS": f"ci:read:{token} cd:write:{token}"},
        {"CHAT_API_TOKENS_FILE": str(tmp_path / "tokens")},
    ):
        assert build_service(Settings.read(write(login), given)).operations.has_api
    assert not build_service(Settings.read(write(login), {})).operations.has_api
    bad = invoke("serve", "--config", write(f'[api]\ntokens = "ci:reed:{token}"\n{login}'))
    assert bad.exit_code == 3 and "expected scopes of read, write, admin, got 'reed'" in bad.stderr
    assert token not in bad.output


PLAIN = """
[service]
port = 0

[transport]
transports = ["websocket"]

[websocket]
path = "/ws"

[lines]
port = 0
idle_timeout = 60

[login]
type = "name"
source = "query"
"""


async def test_the_sections_of_other_transports(write: Any) -> None:
    settings = Settings.read(write(PLAIN))
    assert settings.websocket_options == {"path": "/ws"}
    assert settings.line_options == {"port": 0, "idle_timeout": 60}
    service = build_service(settings)
    async with service:
        _, websocket, lines = service.options.transport
        client = await connect_line(lines, query={"userName": "alice"})
        assert (await client.emit("listOwnSockets"))[0] is None
        other = await connect_socket(websocket, query={"userName": "bob"}, port=service.port, path="/ws")
        await other.disconnect()
        await client.disconnect()
    again = build_service(Settings.read(write(as_toml(settings))))
    options = [each.options for each in again.options.transport[1:]]
    assert options == [websocket.options, lines.options]
    assert Settings.read(write("[lines]")).line_options == {}


HEROES = """
[service]
port = 0

[websocket]
path = "/primus"
dialect = "actionhero"

[lines]
port = 0
dialect = "actionhero"

[actionhero]
welcome_message = "Hello!"
error_texts = { connection_room_required = "which room?" }

[login]
type = "name"

[[rooms]]
name = "lobby"
"""


async def test_clients_of_actionhero_are_served(write: Any) -> None:
    service = build_service(Settings.read(write(HEROES)))
    async with service:
        _, websocket, lines = service.options.transport
        assert isinstance(websocket.dialect, PrimusDialect) and websocket.path == "/primus"
        reader, writer = await asyncio.open_connection("127.0.0.1", lines.port)
        answers = []
        for command in ("", "roomView", "roomAdd lobby"):
            writer.write(f"{command}\r\n".encode())
            async with asyncio.timeout(PATIENCE):
                answers.append(json.loads(await reader.readline()))
        writer.close()
        await writer.wait_closed()
    assert answers[0]["welcome"] == "Hello!"
    assert [answer.get("error") for answer in answers[1:]] == ["which room?", None]


def test_the_dialect_of_each_transport(write: Any) -> None:
    settings = Settings.read(write(HEROES), {"CHAT_LINES__DIALECT": "plain", "CHAT_ACTIONHERO__GUESTS": "no"})
    assert (settings.websocket_dialect, settings.line_dialect) == ("actionhero", "plain")
    assert settings.actionhero_options["guests"] is False
    _, websocket, lines = build_service(settings).options.transport
    assert not websocket.dialect.takes_guests and isinstance(lines.dialect, PlainLines)
    again = Settings.read(write(as_toml(settings)))
    assert (again.websocket_dialect, again.line_dialect) == ("actionhero", "plain")
    assert again.actionhero_options.items() >= settings.actionhero_options.items()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[lines]\ndialect = "hero"', "[lines] dialect: expected 'plain' or 'actionhero', got 'hero'"),
        ("[websocket]\ndialect = []", "[websocket] dialect: expected 'plain' or 'actionhero', got []"),
        ("[actionhero]\nguests = 1", "ActionHero dialect guests: expected True or False, got 1"),
        ("[actionhero]\npayload = 1", "unknown key in [actionhero] payload"),
        ('[actionhero]\nerror_texts = { no = "x" }', "unknown text of errors no"),
        ("[websocket]\npaht = 5", "unknown key in [websocket] paht; did you mean path?"),
        ("[websocket]\nport = -1", "websocket_options port: expected a port, 0 to 65535, or None, got -1"),
        ("[lines]\nidle_timeout = 0", "line_options idle_timeout: expected seconds, more than 0, got 0"),
        ('[lines]\nprivate_key = "key.pem"', "line_options private_key: needs certificate"),
        ('[lines]\ncertificate = "nowhere.pem"', "line_options certificate: nowhere.pem: "),
        ('[lines]\ntls = "x"', "unknown key in [lines] tls"),
    ],
)
def test_invalid_options_of_other_transports_are_refused(write: Any, text: str, message: str) -> None:
    path = write(f'[login]\ntype = "name"\n{text}')
    result = invoke("serve", "--config", path)
    assert result.exit_code == 3
    assert result.stderr.startswith(f"chat-service: {path}: {message}"), result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[lines]\nport = 5001", "set its option reuse_port to true"),
        ("[websocket]\nport = 5001", "leave its option port out"),
    ],
)
def test_workers_share_ports_or_are_refused(write: Any, text: str, message: str) -> None:
    path = write(
        '[login]\ntype = "name"\n[transport]\ntransports = ["websocket"]\n'
        f'[store]\nurl = "redis://localhost"\n{text}'
    )
    result = invoke("serve", "--config", path, "--workers", "2")
    assert result.exit_code == 3 and message in result.stderr


def test_the_port_of_lines_on_the_command_line(write: Any) -> None:
    path = write('[login]\ntype = "name"')
    result = invoke("serve", "--config", path, "--lines-port", "5001", "--print-config")
    assert tomllib.loads(result.stdout)["lines"]["port"] == 5001
