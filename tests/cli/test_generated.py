"""``genconfig`` prints a file that serve takes; ``gentoken`` makes tokens that log in."""

import json
import re
import time
import tomllib
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chat_service.cli.assembly import build_service, find_faults, make_login
from chat_service.cli.option_keys import keys_of
from chat_service.cli.sections import SECTIONS
from chat_service.cli.settings import Settings
from chat_service.cli.toml_text import as_toml
from chat_service.jwt_login import JwtLogin
from tests.cli.conftest import invoke

KEY = "a key of thirty-two characters, or more"


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    result = invoke("genconfig")
    assert result.exit_code == 0
    path = tmp_path / "chat.toml"
    path.write_text(result.stdout, "utf-8")
    return path


@pytest.mark.covers("cli:genconfig")
async def test_serve_takes_the_file_unchanged(generated: Path) -> None:
    settings, faults = Settings.look(str(generated), {})
    assert find_faults(settings, faults) == []
    assert [room.name for room in settings.rooms] == ["default"]
    service = build_service(settings.overridden(port=0))
    async with service:
        assert [room.name for room in (await service.list_rooms()).items] == ["default"]


def test_the_file_is_not_for_the_internet(generated: Path) -> None:
    result = invoke("check", "--public", "--config", str(generated))
    assert result.exit_code == 1 and 'type = "name" lets anyone log in' in result.stdout
    assert invoke("check", "--config", str(generated)).exit_code == 0


def test_the_file_has_every_key_with_its_meaning_and_default(generated: Path, tmp_path: Path) -> None:
    text = generated.read_text("utf-8")
    for section in SECTIONS:
        head = "[[rooms]]" if section == "rooms" else f"[{section}]"
        part = re.split(r"\n#?\[", text.partition(head)[2], maxsplit=1)[0]
        for key in keys_of(section):
            assert re.search(rf"^# .*\n#?{key.name} =", part, re.MULTILINE), (section, key.name)
    # With every comment sign of a key removed, nothing changes but what the sections switch on.
    whole = re.sub(r"^#(\[\w+\]|\w+ = )", r"\1", text, flags=re.MULTILINE)
    whole = re.sub(r"^#(\w+) =$", "", whole, flags=re.MULTILINE)
    path = tmp_path / "whole.toml"
    path.write_text(whole, "utf-8")
    given = tomllib.loads(whole)
    assert set(given) == set(SECTIONS) and len(given["service"]) > 50
    given["store"] = {"type": "memory"}
    before = tomllib.loads(as_toml(Settings.read(str(generated), {})))
    after, faults = Settings.look(str(path), {})
    # The memory store has no use for the options of Redis.
    assert {fault.section for fault in faults} <= {"store"}
    printed = tomllib.loads(as_toml(after))
    for section in ("service", "transport", "api", "webhooks", "login", "process", "rooms"):
        assert printed[section] == before[section], section
    assert printed["lines"]["port"] > 0 and printed["websocket"]["path"]


def file(path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    return str(path)


def reader(path: str) -> JwtLogin:
    settings = Settings.read(path)
    assert settings.login is not None
    login = make_login(settings.login)
    assert isinstance(login, JwtLogin)
    return login


@pytest.mark.covers("cli:gentoken")
def test_a_token_for_the_login_of_a_file(tmp_path: Path) -> None:
    path = file(
        tmp_path / "chat.toml",
        f'[login]\ntype = "jwt"\nsecret = "{KEY}"\naudience = "chat"\nissuer = "shop"\nuser_claim = "name"\n',
    )
    result = invoke("gentoken", "--config", path, "--expires", "60", "--claim", "roles=[1]", "älice")
    assert result.exit_code == 0, result.stderr
    claims = reader(path).read(result.stdout.strip())
    assert claims["name"] == "älice" and claims["roles"] == [1]
    assert 0 < claims["exp"] - time.time() <= 60
    shown = json.loads(invoke("gentoken", "--config", path, "--json", "bob").stdout)
    assert shown["user"] == "bob" and shown["expiresAt"] / 1000 == pytest.approx(time.time() + 3600, abs=60)
    assert reader(path).read(shown["token"])["name"] == "bob"


def test_a_token_with_the_secret_of_the_environment() -> None:
    result = invoke("gentoken", "alice", env={"CHAT_LOGIN_SECRET": KEY})
    assert jwt.decode(result.stdout.strip(), KEY, ["HS256"])["sub"] == "alice"


def test_a_token_signed_with_a_private_key(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = {**jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "new"}
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [public]}))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "private.pem").write_bytes(private)
    path = file(
        tmp_path / "chat.toml",
        f'[login]\ntype = "jwt"\njwks_file = "{tmp_path}/keys.json"\nalgorithms = ["ES256"]\n',
    )
    given = ("gentoken", "--config", path, "alice")
    result = invoke(*given, "--key-file", str(tmp_path / "private.pem"), "--key-id", "new")
    assert result.exit_code == 0, result.stderr
    assert reader(path).read(result.stdout.strip())["sub"] == "alice"
    without = invoke(*given)
    assert (without.exit_code, without.stderr) == (
        2,
        "chat-service: [login] has a public key, which cannot sign: add --key-file with the private one\n",
    )
    (tmp_path / "wrong.pem").write_text("no key")
    assert invoke(*given, "--key-file", str(tmp_path / "wrong.pem")).exit_code == 3
    assert invoke(*given, "--key-file", str(tmp_path / "none.pem")).exit_code == 3


@pytest.mark.parametrize(
    ("args", "environment", "code", "message"),
    [
        ((), {}, 3, "[login] jwt needs either secret"),
        ((), {"CHAT_LOGIN_SECRET": "short"}, 3, "HS256 needs 32 bytes or more"),
        (("--claim", "x"), {"CHAT_LOGIN_SECRET": KEY}, 2, "--claim: expected NAME=VALUE"),
        (("--claim", "exp=5"), {"CHAT_LOGIN_SECRET": KEY}, 2, "--claim: expected NAME=VALUE"),
        (("--algorithm", "HS512"), {"CHAT_LOGIN_SECRET": KEY * 2}, 2, "[login] accepts HS256"),
        (("--expires", "0"), {"CHAT_LOGIN_SECRET": KEY}, 2, "--expires"),
        ((), {"CHAT_LOGIN__TYPE": "name"}, 3, 'not type = "name"'),
    ],
)
def test_tokens_that_cannot_be_made(args: Any, environment: Any, code: int, message: str) -> None:
    result = invoke("gentoken", *args, "alice", env=environment)
    assert result.exit_code == code and message in result.stderr, result.stderr
    assert KEY not in result.output
