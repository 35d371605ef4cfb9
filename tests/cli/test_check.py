"""check: the configuration file, then all requirements of its store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chat_service.cli.commands import check as checking
from chat_service.cli.findings import Verdict
from chat_service.cli.login_settings import LoginSettings
from chat_service.cli.public_config import check_public
from chat_service.cli.settings import Settings
from tests.cli.conftest import Site, invoke
from tests.support.redis_servers import RedisServer

pytestmark = pytest.mark.redis
NAMES = [
    "connection",
    "version",
    "mode",
    "memory policy",
    "persistence",
    "permissions",
    "bus",
    "latency",
    "clock",
]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server whose settings the test may change."""
    with RedisServer() as made:
        yield made


def _check(server: RedisServer, *args: str, user: str = "") -> tuple[int, dict[str, Any], dict[str, str]]:
    result = invoke("check", "--json", "--url", f"redis://{user}127.0.0.1:{server.port}", *args)
    answer = json.loads(result.stdout)
    return (
        result.exit_code,
        {item["check"]: item["verdict"] for item in answer["checks"]},
        {item["check"]: item["detail"] for item in answer["checks"]},
    )


@pytest.mark.covers("cli:check")
async def test_a_healthy_store(site: Site) -> None:
    answer = await site.json("check")
    assert answer["ok"] is True
    verdicts = {item["check"]: item["verdict"] for item in answer["checks"]}
    assert list(verdicts) == NAMES
    assert verdicts["persistence"] == "warning"
    assert {name for name, verdict in verdicts.items() if verdict != "ok"} <= {
        "persistence",
        "mode",
        "latency",
    }
    shown = (await site.run("check")).stdout
    assert [line.split()[0] for line in shown.splitlines()[2:]][:2] == ["connection", "version"]
    await site.run("check", "--strict", code=1)
    assert site.keys() == {}


def test_a_configuration(server: RedisServer, tmp_path: Path) -> None:
    path = tmp_path / "chat.toml"
    path.write_text(f'[store]\nurl = "{server.url}"\n[login]\ntype = "name"\n')
    result = invoke("check", "--json", "--config", str(path))
    checks = [item["check"] for item in json.loads(result.stdout)["checks"]]
    assert (result.exit_code, checks) == (0, ["configuration", *NAMES])
    path.write_text('[login]\ntype = "name"\n')
    result = invoke("check", "--config", str(path))
    assert result.exit_code == 0 and "memory: lost when" in result.stdout
    path.write_text('[login]\ntype = "name"\n[service]\nport = -1\n')
    result = invoke("check", "--config", str(path))
    assert (result.exit_code, result.stderr.count("\n")) == (3, 1)
    assert "option port: expected a whole number" in result.stderr
    path.write_text('[store]\nurl = "redis://127.0.0.1:1"\n[login]\ntype = "name"\n')
    assert invoke("check", "--config", str(path)).exit_code == 4


def test_all_errors_are_reported(server: RedisServer, tmp_path: Path) -> None:
    """Past a secret that is missing, and past everything else, to the store."""
    path = tmp_path / "chat.toml"
    path.write_text(f"""
        [servce]
        [service]
        prot = 1
        port = -1
        history_max_size = "x"
        [store]
        url = "{server.url}"
        comand_timeout = 1
        [transport]
        ping_timeout = 0
        ping_interval = "x"
        [login]
        type = "jwt"
        [process]
        workers = 0
        [[rooms]]
        nam = "x"
        [[rooms]]
    """)
    result = invoke("check", "--json", "--config", str(path))
    checks = json.loads(result.stdout)["checks"]
    found = [item["detail"] for item in checks if item["check"] == "configuration"]
    assert result.exit_code == 3 and all(detail.startswith(f"{path}: ") for detail in found)
    expected = [
        "unknown section servce; did you mean service?",
        "unknown key in [service] prot; did you mean port?",
        "unknown key in [store] comand_timeout; did you mean command_timeout?",
        "[login] jwt needs either secret, public_key_file or jwks_file",
        "unknown key in [[rooms]] nam; did you mean name?",
        "[[rooms]] needs name",
        "[process] workers: expected a whole number from 1, got 0",
        "option port: expected a whole number",
        "option history_max_size: expected a whole number",
        "transport_options ping_interval: expected seconds",
        "transport_options ping_timeout: expected seconds",
    ]
    assert [any(text in detail for detail in found) for text in expected] == [True] * len(expected)
    assert len(found) == len(expected)
    verdicts = {item["check"]: item["verdict"] for item in checks}
    assert list(verdicts) == ["configuration", *NAMES] and verdicts["bus"] == "ok"
    shown = invoke("check", "--config", str(path))
    assert (shown.exit_code, shown.stderr.count("\n")) == (3, 1)
    assert shown.stderr.endswith(" (and 10 more)\n")
    # The secret is in the environment of the services alone; what looks into the store has no use for it.
    path.write_text(f'[store]\nurl = "{server.url}"\n[login]\ntype = "jwt"\n[[rooms]]\nnam = "x"\n')
    assert invoke("rooms", "--config", str(path)).exit_code == 0
    assert invoke("check", "--config", str(path), env={"CHAT_LOGIN_SECRET": "x" * 32}).exit_code == 3
    path.write_text(f'[store]\nurl = "{server.url}"\nurk = 1\n')
    assert invoke("rooms", "--config", str(path)).stderr.endswith(
        "unknown key in [store] urk; did you mean url?\n"
    )


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"port = ", "Invalid value (at end of document)"),
        (
            "[login]".encode("utf-16"),
            "a TOML file must be UTF-8, but this one has an invalid byte at position 0",
        ),
        (None, "No such file or directory"),
    ],
)
def test_an_empty_file(tmp_path: Path, content: bytes | None, detail: str) -> None:
    path = tmp_path / "chat.toml"
    if content is not None:
        path.write_bytes(content)
    result = invoke("check", "--json", "--config", str(path))
    (finding,) = json.loads(result.stdout)["checks"]
    assert (result.exit_code, finding["verdict"], finding["detail"]) == (3, "failed", f"{path}: {detail}")
    for command in ("rooms", "serve"):
        other = invoke(command, "--config", str(path))
        assert (other.exit_code, other.stderr) == (3, f"chat-service: {path}: {detail}\n")


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "chat.toml"
    path.write_bytes('[login]\r\ntype = "name"\r\n'.encode("utf-8-sig"))
    assert invoke("check", "--config", str(path)).exit_code == 0


@pytest.mark.parametrize(
    ("options", "code", "detail"),
    [
        (["--url", "redis://127.0.0.1:1"], 4, "Redis at 127.0.0.1:1 cannot be reached"),
        (["--url", "{url}", "--cluster"], 3, "is not a cluster node"),
    ],
)
def test_a_store_that_cannot_be_opened(
    server: RedisServer, options: list[str], code: int, detail: str
) -> None:
    options = [option.format(url=server.url) for option in options]
    result = invoke("check", "--json", *options)
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["ok"], result.stderr) == (code, False, "")
    (finding,) = answer["checks"]
    assert (finding["check"], finding["verdict"]) == ("connection", "failed")
    assert detail in finding["detail"]
    assert detail in " ".join(invoke("check", *options).stdout.split())


def test_a_redis_with_unsuitable_settings(server: RedisServer) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        code, verdicts, _ = _check(server)
        assert (code, verdicts["memory policy"]) == (0, "warning")
        client.config_set("maxmemory", "100mb")
        code, verdicts, details = _check(server)
        assert (code, verdicts["memory policy"]) == (1, "failed")
        assert details["memory policy"].startswith("allkeys-lru: Redis will evict rooms")
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("appendonly", "yes")
        assert _check(server)[1]["persistence"] == "ok"


def test_permissions(server: RedisServer) -> None:
    with server.client() as client:
        everything = ["on", ">pw", "~chat:*", "&chat:*", "+@all"]
        client.execute_command("ACL", "SETUSER", "good", *everything)
        assert _check(server, user="good:pw@")[0] == 0
        client.execute_command("ACL", "SETUSER", "reader", *everything, "-lpush")
        code, verdicts, details = _check(server, user="reader:pw@")
        assert (code, verdicts["permissions"]) == (1, "failed")
        assert details["permissions"].endswith("ACL SETUSER reader +lpush")
        assert client.keys("chat:*") == []
        client.execute_command("ACL", "SETUSER", "deaf", *everything, "resetchannels")
        code, verdicts, _ = _check(server, user="deaf:pw@")
        assert (code, verdicts["bus"]) == (1, "failed")
        code, verdicts, _ = _check(server, "--prefix", "other", user="good:pw@")
        assert (code, verdicts["permissions"]) == (1, "failed")


def test_clocks(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "SKEW_SECONDS", 0.0)
    code, verdicts, details = _check(server)
    assert (code, verdicts["clock"]) == (0, "warning")
    assert "messages may have wrong timestamps" in details["clock"]


def test_slow_answers(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "SLOW_MS", 0.0)
    assert _check(server)[1]["latency"] == "warning"


JWT = LoginSettings(type="jwt", secret="x" * 32)
SAFE = """
[login]
type = "jwt"
secret = "at least 32 characters that nobody else knows"
[transport]
cors_allowed_origins = ["https://chat.example.org"]
allowed_hosts = ["chat.example.org"]
[service]
operations_port = 9100
"""


def test_a_file_for_the_public_internet(tmp_path: Path) -> None:
    path = tmp_path / "chat.toml"
    path.write_text(SAFE)
    result = invoke("check", "--public", "--json", "--config", str(path))
    checks = json.loads(result.stdout)["checks"]
    assert result.exit_code == 0
    assert [(item["check"], item["verdict"]) for item in checks] == [
        ("configuration", "ok"),
        ("public", "ok"),
        ("store", "ok"),
    ]
    assert invoke("check", "--public", "--url", "redis://127.0.0.1:1").exit_code == 2


@pytest.mark.parametrize(
    ("old", "new", "verdict", "text"),
    [
        (
            SAFE,
            '[login]\ntype = "name"\n[transport]\nallowed_hosts = "chat.example.org"',
            "failed",
            "lets anyone log in as any user",
        ),
        ('type = "jwt"', 'type = "jwt"\nrequire_expiry = false', "warning", "valid forever"),
        ('type = "jwt"', 'type = "jwt"\nsource = "query"', "warning", "logs of proxies"),
        ('["https://chat.example.org"]', '"*"', "failed", "every website"),
        ('["https://chat.example.org"]', '["https://a.example", "*"]', "failed", "every website"),
        ('allowed_hosts = ["chat.example.org"]', "", "warning", "allowed_hosts is not set: a website can"),
        ('allowed_hosts = ["chat.example.org"]', 'allowed_hosts = "*"', "warning", 'allowed_hosts = "*"'),
        ('["chat.example.org"]', '["chat.example.org", "*"]', "warning", "DNS rebinding"),
        ("[service]", "[service]\nexpose_internal_errors = true", "failed", "exception texts"),
        ("[service]", '[service]\noperations_host = "0.0.0.0"', "warning", "read the metrics"),
        ("[transport]", "[transport]\nmax_message_size = 100000000", "warning", "fill the memory"),
        ("[transport]", '[transport]\ntrusted_proxies = ["0.0.0.0/0"]', "failed", "choose its address"),
        (
            "[transport]",
            '[lines]\nhost = "0.0.0.0"\nmax_connections_per_address = 50\n[transport]',
            "failed",
            "[lines] host '0.0.0.0' without certificate",
        ),
        (
            "[transport]",
            "[websocket]\nport = 8001\n[transport]",
            "warning",
            "[websocket] allowed_hosts is not set",
        ),
        (
            "[transport]",
            '[websocket]\nport = 8001\nallowed_hosts = "a"\ncors_allowed_origins = "*"\n[transport]',
            "failed",
            "lets every website",
        ),
        (
            "[transport]",
            '[transport]\nadmin_ui = {username = "a", password = "b"}',
            "warning",
            "protected only by a password",
        ),
    ],
)
def test_public_problems_are_found(tmp_path: Path, old: str, new: str, verdict: str, text: str) -> None:
    path = tmp_path / "chat.toml"
    path.write_text(SAFE.replace(old, new))
    result = invoke("check", "--public", "--json", "--config", str(path))
    found = [item for item in json.loads(result.stdout)["checks"] if item["check"] == "public"]
    assert [(item["verdict"], text in item["detail"]) for item in found] == [(verdict, True)]
    assert (result.exit_code == 0) == (verdict == "warning")
    assert invoke("check", "--public", "--strict", "--config", str(path)).exit_code != 0
    # Without the option nothing is said of it.
    assert invoke("check", "--config", str(path)).exit_code == 0


def test_a_store_that_others_can_reach() -> None:
    transport = {"allowed_hosts": ["*.example.org"]}
    options = {"url": "redis://redis.internal:6379"}
    made = Settings(
        path="chat.toml",
        store_type="redis",
        store_options=options,
        login=JWT,
        transport_options=transport,
    )
    details = [finding.detail for finding in check_public(made)]
    assert ["bus_secret" in details[0], "without TLS" in details[1], len(details)] == [True, True, 2]
    for stamps, verdict in ((None, Verdict.OK), ("require", Verdict.OK), ("send", Verdict.WARNING)):
        options = {"url": "rediss://redis.internal:6379", "bus_secret": "x" * 32}
        if stamps is not None:
            options["bus_stamps"] = stamps
        made = Settings(
            path="chat.toml",
            store_type="redis",
            store_options=options,
            login=JWT,
            transport_options=transport,
        )
        assert [finding.verdict for finding in check_public(made)] == [verdict]


@pytest.mark.covers("transport_option:max_connections")
def test_the_limit_of_open_files(tmp_path: Path) -> None:
    path = tmp_path / "chat.toml"
    path.write_text(SAFE.replace("[transport]", "[transport]\nmax_connections = 5"))
    checks = json.loads(invoke("check", "--json", "--config", str(path)).stdout)["checks"]
    assert [item["verdict"] for item in checks if item["check"] == "open files"] == ["ok"]
    path.write_text(SAFE.replace("[transport]", "[transport]\nmax_connections = 1000000000"))
    result = invoke("check", "--json", "--config", str(path))
    found = [item for item in json.loads(result.stdout)["checks"] if item["check"] == "open files"]
    assert [item["verdict"] for item in found] == ["warning"]
    assert "but max_connections is 1000000000; raise the limit" in found[0]["detail"]
    assert result.exit_code == 0
    assert invoke("check", "--strict", "--config", str(path)).exit_code != 0
