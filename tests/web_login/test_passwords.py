"""The password file: changing it, logging in with it, bounded attempts, and the end of sessions."""

import asyncio
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from chat_service import ConfigurationError
from chat_service.testing import wait_until
from chat_service.web_login import PasswordFile
from tests.cli.conftest import invoke
from tests.web_login.conftest import PASSWORD, Sites


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.txt"
    file = PasswordFile(path)
    file.set_password("alice", PASSWORD)
    file.set_password("bob", PASSWORD[::-1])
    return path


def login(users: Path, **more: Any) -> str:
    lines = [f"{name} = {value}" for name, value in more.items()]
    return "\n".join(
        ['[login]\ntype = "password"', f'users_file = "{users}"', *lines, '[[rooms]]\nname = "default"']
    )


# The file and its command


@pytest.mark.covers("cli:passwd")
def test_users_are_added_changed_listed_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    config = tmp_path / "chat.toml"
    config.write_text(login(path), "utf-8")
    given = ("passwd", "--config", str(config))
    assert invoke(*given, "--stdin", "älice", input=f"{PASSWORD}\n").stdout == "added älice\n"
    asked = invoke("passwd", "--file", str(path), "bob", input=f"{PASSWORD}\n{PASSWORD}\n")
    assert asked.exit_code == 0 and "added bob" in asked.stdout
    assert invoke(*given, "--list").stdout == "bob\nälice\n"
    text = path.read_text("utf-8")
    assert text.count("$argon2id$") == 2 and PASSWORD not in text
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    again = invoke(*given, "--stdin", "bob", input="another password\n")
    assert again.stdout == "changed the password of bob\n" and path.read_text("utf-8") != text
    assert invoke(*given, "--remove", "bob").stdout == "removed bob\n"
    assert invoke(*given, "--remove", "bob").exit_code == 6
    assert invoke(*given, "--list").stdout == "älice\n"


@pytest.mark.parametrize(
    ("args", "text", "code", "message"),
    [
        (["--stdin", "a:b"], PASSWORD, 3, "the name 'a:b' cannot be used"),
        (["--stdin", "alice"], "short", 3, "a password has 8 to 1024 characters"),
        (["--stdin", "alice"], "x" * 1025, 3, "a password has 8 to 1024 characters"),
        (["--stdin", "alice"], "", 2, "--stdin: there is no password"),
        ([], "", 2, "name a user, or add --list"),
    ],
)
def test_what_the_command_refuses(tmp_path: Path, args: Any, text: str, code: int, message: str) -> None:
    path = tmp_path / "users.txt"
    result = invoke("passwd", "--file", str(path), *args, input=text and f"{text}\n")
    assert result.exit_code == code and message in result.stderr
    assert not path.exists()


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    for text in ("alice:secret\n", "alice\n", ":$argon2id$\n"):
        path.write_text(text, "utf-8")
        with pytest.raises(ConfigurationError, match="line 1 is not name:hash") as caught:
            PasswordFile(path)
        assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"users\.txt"):
        PasswordFile(path / "below")
    assert PasswordFile(tmp_path / "none.txt").names() == []


def test_changes_at_the_same_time_lose_nobody(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    files = [PasswordFile(path) for _ in range(4)]

    async def add_all() -> None:
        await asyncio.gather(
            *(asyncio.to_thread(file.set_password, f"user{at}", PASSWORD) for at, file in enumerate(files))
        )

    asyncio.run(add_all())
    assert PasswordFile(path).names() == [f"user{at}" for at in range(4)]


# Logging in


async def test_a_password_logs_in(site: Sites, users: Path, connect: Any) -> None:
    made = await site(login(users))
    assert await made.state() == {
        "kinds": ["password"],
        "user": None,
        "label": "your account",
        "loginUrl": None,
    }
    assert await made.post("ticket") == (401, {"error": "noSession", "seconds": 0})
    assert await made.post("password", {"name": "alice", "password": PASSWORD}) == (200, {"user": "alice"})
    cookie = made.cookie()
    assert cookie["httponly"] and cookie["samesite"] == "Strict" and cookie["path"] == "/"
    assert not cookie["secure"] and int(cookie["max-age"]) <= 43_200
    assert (await made.state())["user"] == "alice"
    socket = await connect(made, {"ticket": await made.ticket()})
    event, user, data = socket.events[0]
    assert (event, user) == ("loginConfirmed", "alice") and data["expiresAt"] > 0
    # The page's own requests work, as in the demo.
    error, rooms = await socket.call("roomList")
    assert error is None and [room["name"] for room in rooms] == ["default"]
    # A cookie is not a ticket, and a name is nothing.
    for auth in ({"ticket": cookie.value}, {"userName": "alice"}, {"ticket": 5}, {"token": "x"}, None):
        refused = await connect(made, auth)
        assert refused.events[0][0] == "loginRejected", auth


async def test_wrong_passwords(site: Sites, users: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = await site(login(users))
    with caplog.at_level(logging.WARNING, "chat_service"):
        for content in (
            {"name": "alice", "password": PASSWORD[::-1]},
            {"name": "nobody", "password": PASSWORD},
            {"name": "a:b", "password": PASSWORD},
            {"name": "alice", "password": ""},
            {"name": "alice", "password": "x" * 2000},
        ):
            assert await made.post("password", content) == (401, {"error": "badLogin", "seconds": 0})
    assert "a wrong password for 'alice' from 127.0.0.1" in caplog.text and PASSWORD not in caplog.text
    assert made.cookie() is None
    for bad in ({}, {"name": 5, "password": PASSWORD}, {"name": "alice"}):
        assert (await made.post("password", bad))[0] == 400
    samples = {
        tuple(sample.labels.values()): sample.value
        for family in made.service.operations.registry.collect()
        for sample in family.samples
        if sample.name == "chat_page_logins_total"
    }
    assert samples == {("password", "wrong"): 5}


async def test_attempts_for_a_name_are_bounded(
    site: Sites, users: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = await site(login(users, attempts_per_name=3))
    # At the same time, so none may begin before the others are counted.
    wrong = {"name": "alice", "password": "wrong password"}
    answers = await asyncio.gather(*(made.post("password", wrong) for _ in range(6)))
    assert sorted(status for status, _ in answers) == [401] * 3 + [429] * 3
    status, answer = await made.post("password", {"name": "alice", "password": PASSWORD})
    assert status == 429 and answer["error"] == "tooManyAttempts" and 0 < answer["seconds"] <= 61
    assert caplog.text.count("too many attempts for the name 'alice'") == 1
    # Others still come in, as often as they like with the right password.
    for _ in range(5):
        assert (await made.post("password", {"name": "bob", "password": PASSWORD[::-1]}))[0] == 200


async def test_attempts_of_an_address_are_bounded(site: Sites, users: Path) -> None:
    made = await site(login(users, attempts_per_address=3) + '\n[transport]\ntrusted_proxies = ["127.0.0.1"]')

    async def attempt(name: str, address: str) -> int:
        content = {"name": name, "password": "wrong password"}
        return (await made.post("password", content, headers={"X-Forwarded-For": address}))[0]

    assert [await attempt(f"user{at}", "192.0.2.1") for at in range(5)] == [401, 401, 401, 429, 429]
    # A subscriber of IPv6 has a whole network.
    assert [await attempt(f"user{at}", f"2001:db8::{at}") for at in range(4)] == [401, 401, 401, 429]
    assert await attempt("alice", "192.0.2.2") == 401


# Other pages


async def test_requests_of_other_pages_are_refused(site: Sites, users: Path) -> None:
    made = await site(login(users) + '\n[transport]\ncors_allowed_origins = "*"')
    right = {"name": "alice", "password": PASSWORD}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert (await made.post("password", right, headers=headers))[0] == 403, headers
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        options = {"json": None, "data": "{}", "headers": {"Content-Type": kind}}
        assert (await made.post("logout", **options))[0] == 400
    assert made.cookie() is None
    own = {"Origin": made.address, "Sec-Fetch-Site": "same-origin"}
    assert (await made.post("password", right, headers=own))[0] == 200
    # Such a page cannot get a ticket or log anybody out either.
    for what in ("ticket", "logout"):
        assert (await made.post(what, headers={"Origin": "https://evil.example"}))[0] == 403
    assert (await made.state())["user"] == "alice"


async def test_bodies_other_than_objects(site: Sites, users: Path) -> None:
    made = await site(login(users))
    for body in ("", "[]", "{", "[" * 10_000, '{"name": "' + "x" * 20_000 + '"}', "\xff"):
        options = {"json": None, "data": body, "headers": {"Content-Type": "application/json"}}
        assert (await made.post("password", **options))[0] == 400, body[:20]


async def test_cookies_with_tls(site: Sites, users: Path) -> None:
    made = await site(login(users, public_url='"https://chat.example.org"'))
    right = {"name": "alice", "password": PASSWORD}
    async with made.browser.post(f"{made.address}/login/password", json=right) as answer:
        cookie = answer.cookies["__Host-chat-session"]
    assert cookie["secure"] and cookie["httponly"] and cookie["path"] == "/" and not cookie["domain"]


# The end


async def test_logging_out_ends_the_session_everywhere(site: Sites, users: Path, connect: Any) -> None:
    made = await site(login(users))
    await made.post("password", {"name": "alice", "password": PASSWORD})
    cookie, ticket = made.cookie().value, await made.ticket()
    socket = await connect(made, {"ticket": ticket})
    other = await connect(made, {"ticket": await made.ticket()})
    assert (await made.post("logout"))[0] == 200
    assert made.cookie() is None
    await wait_until(lambda: socket.is_over and other.is_over, "the end of the sockets")
    # Neither the cookie nor a ticket of this session is worth anything now.
    headers = {"Cookie": f"chat-session={cookie}"}
    assert (await made.post("ticket", headers=headers))[0] == 401
    assert (await connect(made, {"ticket": ticket})).events[0][0] == "loginRejected"


@pytest.mark.parametrize("change", ["remove", "change"])
async def test_a_new_password_ends_sessions(site: Sites, users: Path, connect: Any, change: str) -> None:
    made = await site(login(users))
    await made.post("password", {"name": "alice", "password": PASSWORD})
    await made.ticket()
    args = ["--remove"] if change == "remove" else ["--stdin"]
    result = await asyncio.to_thread(
        invoke, "passwd", "--file", str(users), *args, "alice", input="another password\n"
    )
    assert result.exit_code == 0, result.output

    async def is_over() -> bool:
        return (await made.post("ticket"))[0] == 401

    await wait_until(is_over, "the end of the session")
    assert made.cookie() is None


async def test_logins_of_sockets_are_renewed_with_tickets(site: Sites, users: Path, connect: Any) -> None:
    made = await site(login(users, session_ttl=2) + "\n[service]\nlogin_expiry_grace = 0")
    await made.post("password", {"name": "alice", "password": PASSWORD})
    socket = await connect(made, {"ticket": await made.ticket()})
    idle = await connect(made, {"ticket": await made.ticket()})
    await socket.heard("loginExpiring")
    first = socket.events[0][2]["expiresAt"] // 1000

    async def renew() -> float:
        error, expires_at = await socket.call("loginRefresh", {"ticket": await made.ticket()})
        assert error is None
        return float(expires_at)

    while not idle.is_over:
        assert await renew() >= first
        await asyncio.sleep(0.2)
    assert await renew() > first and not socket.is_over
    # Another user's ticket does not do.
    made.browser.cookie_jar.clear()
    await made.post("password", {"name": "bob", "password": PASSWORD[::-1]})
    error, *_ = await socket.call("loginRefresh", {"ticket": await made.ticket()})
    assert "Action is not allowed" in str(error)


async def test_sessions_end_in_any_case(site: Sites, users: Path) -> None:
    made = await site(login(users, session_lifetime=2))
    await made.post("password", {"name": "alice", "password": PASSWORD})

    async def is_over() -> bool:
        return (await made.post("ticket"))[0] == 401

    await wait_until(is_over, "the end of the session")


async def test_who_is_not_there_for_long_has_to_log_in_again(site: Sites, users: Path) -> None:
    made = await site(login(users, session_idle=2))
    await made.post("password", {"name": "alice", "password": PASSWORD})
    cookie = made.cookie().value
    headers = {"Cookie": f"chat-session={cookie}"}
    made.browser.cookie_jar.clear()

    async def is_over() -> bool:
        status = (await made.post("ticket", headers=headers))[0]
        made.browser.cookie_jar.clear()
        return status == 401

    await wait_until(is_over, "the end of the cookie")
