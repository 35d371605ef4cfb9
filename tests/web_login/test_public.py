"""``check --public`` judges the logins of the page."""

from pathlib import Path

import pytest

from chat_service.cli.public_config import check_public
from chat_service.cli.settings import Settings
from chat_service.web_login import PasswordFile
from tests.web_login.conftest import PASSWORD

GOOD = """
[transport]
allowed_hosts = "chat.example.org"
trusted_proxies = ["10.0.0.0/8"]
[login]
type = "password"
users_file = "USERS"
public_url = "https://chat.example.org"
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "", "no problems found"),
        ('public_url = "https', 'public_url = "http', "public_url http://chat.example.org: without TLS"),
        ("\npublic_url", "\n#", "public_url is not set"),
        ("\ntrusted_proxies", "\n#", "trusted_proxies is not set"),
        ("[login]", "[login]\nattempts_per_name = 1000", "attempts_per_name above 30"),
        ("[login]", "[login]\nattempts_per_address = 1000", "attempts_per_address above 100"),
        ("[login]", "[login]\nsession_ttl = 86400", "session_ttl above an hour"),
        (
            'type = "password"',
            'type = ["password", "oidc"]\noidc_issuer = "http://127.0.0.1"\noidc_client_id = "x"',
            "oidc_issuer: without TLS",
        ),
        (
            'type = "password"',
            'type = ["password", "oidc"]\noidc_issuer = "https://id"\noidc_client_id = "x"',
            "a name is the same user however somebody logs in",
        ),
    ],
)
def test_what_is_judged(tmp_path: Path, old: str, new: str, message: str) -> None:
    users = PasswordFile(tmp_path / "users.txt")
    users.set_password("alice", PASSWORD)
    path = tmp_path / "chat.toml"
    path.write_text(GOOD.replace("USERS", f"{tmp_path}/users.txt").replace(old, new, 1), "utf-8")
    found = [finding.detail for finding in check_public(Settings.read(str(path), {}))]
    assert any(message in detail for detail in found), found
    if new == "":
        (tmp_path / "users.txt").chmod(0o644)
        [finding] = check_public(Settings.read(str(path), {}))
        assert finding.verdict == "failed" and "others on this machine can read" in finding.detail
