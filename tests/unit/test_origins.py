"""Origins are read and compared as in browsers. Values that can never match are refused with a suggestion."""

import pytest

from chat_service.transports.network.origins import AllowedOrigins, own_origins, read_origin


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://app.example.org", "https://app.example.org"),
        ("HTTPS://App.Example.ORG", "https://app.example.org"),
        ("https://app.example.org:443", "https://app.example.org"),
        ("http://app.example.org:80", "http://app.example.org"),
        ("http://app.example.org:443", "http://app.example.org:443"),
        ("https://app.example.org:", "https://app.example.org"),
        ("https://app.example.org:08443", "https://app.example.org:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example", "https://xn--bcher-kva.example"),
        ("https://XN--BCHER-KVA.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("https://i❤.ws", "https://xn--i-7iq.ws"),
        ("https://例え。テスト", "https://xn--r8jz45g.xn--zckzah"),
        ("http://my_service:8080", "http://my_service:8080"),
        ("http://127.1:8000", "http://127.0.0.1:8000"),
        ("http://0x7f.0.0.1", "http://127.0.0.1"),
        ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
        ("http://[2001:DB8::0]", "http://[2001:db8::]"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("Capacitor://localhost", "capacitor://localhost"),
        ("file://", "file://"),
        ("null", "null"),
    ],
)
def test_equivalent_forms_match(written: str, sent: str) -> None:
    for allowed in (written, [written], ("https://other.example", written)):
        assert AllowedOrigins(allowed).allows(sent)
        assert not AllowedOrigins(allowed).allows("https://evil.example")
    # Origins sent by other clients are compared the same way.
    if written.isascii():
        assert AllowedOrigins(sent).allows(written)


@pytest.mark.parametrize(
    ("allowed", "other"),
    [
        ("https://example.org", "http://example.org"),
        ("https://example.org", "https://example.org:8443"),
        ("https://example.org:8443", "https://example.org"),
        ("https://example.org", "https://www.example.org"),
        ("https://example.org", "https://example.org.evil.example"),
        ("https://example.org", "https://notexample.org"),
        # For browsers these are two hosts.
        ("https://example.org", "https://example.org."),
        ("https://example.org", "null"),
        ("https://example.org", ""),
        ("https://example.org", "https://"),
        ("https://example.org", "https://example.org/"),
        ("https://example.org", "https://user@example.org"),
        ("https://example.org", "https://evil.example#https://example.org"),
        ("https://*.example.org", "https://*.example.org"),
        ("https://*.example.org", "https://.example.org"),
    ],
)
def test_other_origins_do_not(allowed: str, other: str) -> None:
    assert not AllowedOrigins(allowed).allows(other)


def test_wildcards_are_for_subdomains() -> None:
    allowed = AllowedOrigins(["https://*.Example.org", "http://*.localhost:3000"])
    for origin in ("https://a.example.org", "https://a.b.example.org", "http://shop.localhost:3000"):
        assert allowed.allows(origin)
    for origin in (
        "https://example.org",
        "http://a.example.org",
        "https://a.example.org:8443",
        "https://a.example.org.evil.example",
        "https://evilexample.org",
        "http://shop.localhost",
        "https://a.example.org@evil.example",
    ):
        assert not allowed.allows(origin)
    assert AllowedOrigins("https://*.bücher.example").allows("https://a.xn--bcher-kva.example")


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("app.example.org", "https://app.example.org"),
        ("app.example.org/", "https://app.example.org"),
        ("//app.example.org", "https://app.example.org"),
        ("https:app.example.org", "https://app.example.org"),
        ("https:/app.example.org", "https://app.example.org"),
        ("https://app.example.org/", "https://app.example.org"),
        ("HTTPS://App.example.org/chat?a=b#c", "https://app.example.org"),
        ("https://app.example.org:443/", "https://app.example.org"),
        ("https://app.example.org.", "https://app.example.org"),
        (" https://app.example.org", "https://app.example.org"),
        ("https://app.example.org\n", "https://app.example.org"),
        ("'https://app.example.org'", "https://app.example.org"),
        ("https://bücher.example/", "https://xn--bcher-kva.example"),
        ("*.example.org", "https://*.example.org"),
        ("https://*.example.org/", "https://*.example.org"),
        ("https://*example.org", "https://*.example.org"),
        ("wss://app.example.org", "https://app.example.org"),
        ("ws://app.example.org:8000", "http://app.example.org:8000"),
        ("localhost:3000", "http://localhost:3000"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:3000", "http://[::1]:3000"),
        ("http://localhost:*", "http://localhost"),
        ("*:*", "*"),
        ("*://*", "*"),
        (" * ", "*"),
        ("NULL", "null"),
        ("file:///home/page.html", "file://"),
        ("ionic://localhost/", "ionic://localhost"),
    ],
)
def test_origins_that_never_match_are_refused_with_the_nearest_form(written: str, nearest: str) -> None:
    with pytest.raises(ValueError, match="never matches what browsers send") as caught:
        AllowedOrigins(written)
    assert str(caught.value).endswith(f"write {nearest!r}")
    AllowedOrigins(nearest)


def test_several_origins_in_one_text_are_a_list() -> None:
    for text in (
        "https://a.example, https://b.example",
        "https://a.example b.example;",
        "a.example,b.example",
    ):
        with pytest.raises(ValueError, match=r"write \['https://a.example', 'https://b.example'\]$"):
            AllowedOrigins(text)


@pytest.mark.parametrize(
    "written",
    [
        "https://", "://", "https://a..b", "https://.example.org", "https://a.*.example.org",
        "https://*.*.example.org", "https://*.192.0.2.1", "https://*.[::1]", "https://a.b:99999",
        "https://a%20b", "http://[::1", "http://[fe80::1%25eth0]", "http://1.2.3.4.5", "http://300.1.1.1",
    ],
)  # fmt: skip
def test_origins_without_a_nearest_form_are_refused_with_an_example(written: str) -> None:
    with pytest.raises(ValueError, match=r"such as 'https://chat\.example\.org'"):
        AllowedOrigins(written)


def test_passwords_are_not_shown() -> None:
    with pytest.raises(ValueError, match="no user or password") as caught:
        AllowedOrigins("https://user:hidden@example.org")
    assert "hidden" not in str(caught.value)


def test_the_same_origin_is_compared_alike() -> None:
    same = AllowedOrigins(None)
    assert same.allows("https://chat.example.org", ["https://Chat.example.org:443"])
    assert same.allows("http://[::1]:8000", ["http://[0::1]:8000"])
    assert not same.allows("https://chat.example.org", ["http://chat.example.org"])
    assert not same.allows("https://chat.example.org", ["", "https://", "https://a b"])
    assert not same.allows("null", ["null"])
    # A configured value replaces the default.
    assert not AllowedOrigins("https://a.example").allows("https://b.example", ["https://b.example"])


def test_own_origins_follow_the_proxy() -> None:
    assert own_origins("http", None, "https", "chat.example.org") == []
    assert own_origins("https", "chat.example.org") == ["https://chat.example.org"]
    assert own_origins("http", "app:8000", "https, http", "chat.example.org, app") == [
        "http://app:8000",
        "https://chat.example.org",
    ]
    assert own_origins("http", "app", "https")[1] == "https://app"


def test_all_origins() -> None:
    for allowed in ("*", ["*"], ["https://a.example", "*"]):
        assert AllowedOrigins(allowed).allows("null") and AllowedOrigins(allowed).allows("anything")


def test_an_origin_is_shown_as_browsers_send_it() -> None:
    assert str(read_origin("HTTP://A.example:8080")) == "http://a.example:8080"
    assert "https://*.a.example" in repr(AllowedOrigins(["https://*.A.example", "https://b.example"]))
