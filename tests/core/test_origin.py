"""Reading WebSocket URLs, and where a token may be carried."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.origin import WsUrl, check_media_url, parse_ws_url

CONTROL = parse_ws_url("wss://api.example.com/ws")
HOSTILE = [
    "",
    " ",
    "wss://",
    "wss:///path",
    "wss:api.example.com",
    "//api.example.com/",
    "api.example.com",
    "http://api.example.com/",
    "https://api.example.com/",
    "WSS://api.example.com/",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "wss://user@api.example.com/",
    "wss://user:password@api.example.com/",
    "wss://api.example.com@evil.test/",
    "wss://api.example.com:443@evil.test/",
    "wss://api.example.com\\@evil.test/",
    "wss:\\\\api.example.com\\",
    "wss://api.example.com/\\evil.test",
    "wss://api.example.com/#fragment",
    "wss://api.example.com#@evil.test/",
    " wss://api.example.com/",
    "wss://api.example.com/ ",
    "wss://api.example.com/\n",
    "wss://api.example.com\n",
    "wss://api.example.com/a b",
    "wss://api.example.com/\r\nX-Evil: 1",
    "wss://api.example.com/\x00",
    "wss://api.example.com/\x7f",
    "wss://api.example.com\t/",
    "wss://api.exämple.com/",
    "wss://api\u3002example\u3002com/",
    "wss://api.example.com/\u2028",
    "wss://api.example.com/ü",
    "wss://api.example.com:\uff14\uff14\uff13/",
    "wss://api.example.com:/",
    "wss://api.example.com:0/",
    "wss://api.example.com:65536/",
    "wss://api.example.com:99999/",
    "wss://api.example.com:123456/",
    "wss://api.example.com:-1/",
    "wss://api.example.com:4 43/",
    "wss://api.example.com:443:443/",
    "wss://.example.com/",
    "wss://api.example.com./",
    "wss://api..example.com/",
    "wss://-api.example.com/",
    "wss://api-.example.com/",
    "wss://" + "a" * 64 + ".example.com/",
    "wss://api_example.com/",
    "wss://api%2eexample.com/",
    "wss://[::1/",
    "wss://::1/",
    "wss://[]/",
    "wss://[:]/",
    "wss://[1]/",
    "wss://[127.0.0.1]/",
    "wss://[fe80::1%25eth0]/",
    "wss://[::1]evil.test/",
    "wss://[1:2:3:4:5:6:7:8:9]/",
    'wss://api.example.com/"',
    "wss://api.example.com/<x>",
    "wss://api.example.com/{x}",
    "wss://api.example.com/?a=^",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_unusual_urls_are_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must ") as refusal:
        parse_ws_url(text)
    assert "evil" not in str(refusal.value)
    with pytest.raises(RemoteProtocolError, match=r"^the media URL of a call is unusable: it must ") as reported:
        check_media_url(text, control=CONTROL, allowed_hosts=["*.test", "evil.test"])
    assert "evil" not in str(reported.value)


@pytest.mark.parametrize(
    ("text", "url", "host_header"),
    [
        ("ws://a", WsUrl(secure=False, host="a", port=80, target="/"), "a"),
        ("wss://a", WsUrl(secure=True, host="a", port=443, target="/"), "a"),
        ("wss://a:443/", WsUrl(secure=True, host="a", port=443, target="/"), "a"),
        ("ws://a:443/", WsUrl(secure=False, host="a", port=443, target="/"), "a:443"),
        ("wss://a:80/", WsUrl(secure=True, host="a", port=80, target="/"), "a:80"),
        ("wss://A.Example.COM/B", WsUrl(secure=True, host="a.example.com", port=443, target="/B"), "a.example.com"),
        ("ws://a?q=1", WsUrl(secure=False, host="a", port=80, target="/?q=1"), "a"),
        ("ws://a/p?q=1&r=/?x", WsUrl(secure=False, host="a", port=80, target="/p?q=1&r=/?x"), "a"),
        ("ws://a/%7E;@:!$&'()*+,=~.-_", WsUrl(secure=False, host="a", port=80, target="/%7E;@:!$&'()*+,=~.-_"), "a"),
        ("ws://10.0.0.1:8080", WsUrl(secure=False, host="10.0.0.1", port=8080, target="/"), "10.0.0.1:8080"),
        ("ws://[::FF]:81/", WsUrl(secure=False, host="[::ff]", port=81, target="/"), "[::ff]:81"),
        ("ws://a:1/", WsUrl(secure=False, host="a", port=1, target="/"), "a:1"),
        ("ws://a:65535/", WsUrl(secure=False, host="a", port=65535, target="/"), "a:65535"),
        ("ws://xn--exmple-cua.com/", WsUrl(secure=False, host="xn--exmple-cua.com", port=80, target="/"), None),
        (f"ws://{'a' * 63}.b/", WsUrl(secure=False, host="a" * 63 + ".b", port=80, target="/"), None),
    ],
)
def test_plain_urls_are_read_into_parts(text: str, url: WsUrl, host_header: str | None) -> None:
    assert parse_ws_url(text) == url
    assert url.host_header == (host_header or url.host)
    assert parse_ws_url(str(url)) == url, "what is printed reads the same"


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.text(max_size=40).map("wss://api.example.com".__add__) | st.text(max_size=40).map("wss://".__add__))
def test_any_text_is_a_url_that_survives_printing_or_a_value_error(text: str) -> None:
    try:
        url = parse_ws_url(text)
    except ValueError:
        return
    assert parse_ws_url(str(url)) == url
    assert (url.host_header + url.target).isascii()
    assert (url.host_header + url.target).isprintable()


def test_a_long_hostile_host_is_read_in_a_bounded_time() -> None:
    for text in ("a." * 100_000 + "!", "a-" * 100_000 + "!", "a" * 200_000 + "!"):
        with pytest.raises(ValueError, match="must be a plain"):
            parse_ws_url("ws://" + text)


@pytest.mark.parametrize(
    ("host", "address", "loopback"),
    [
        ("localhost", "localhost", True),
        ("LOCALHOST", "localhost", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.9.9.9", "127.9.9.9", True),
        ("[::1]", "::1", True),
        ("[::2]", "::2", False),
        ("10.0.0.1", "10.0.0.1", False),
        ("0.0.0.0", "0.0.0.0", False),  # noqa: S104 - nothing is bound to it
        ("localhost.evil.test", "localhost.evil.test", False),
        ("127.0.0.1.evil.test", "127.0.0.1.evil.test", False),
        ("2130706433", "2130706433", False),
        ("0x7f.1", "0x7f.1", False),
    ],
)
def test_only_the_machine_itself_is_loopback(host: str, address: str, loopback: bool) -> None:
    url = parse_ws_url(f"ws://{host}/")
    assert url.address == address
    assert url.loopback is loopback


# ---------------------------------------------------------------------- where a token may go

SECURE, PLAIN, LOCAL = "wss://api.example.com:8443/ws", "ws://api.example.com:8080/ws", "ws://localhost:8080/ws"


@pytest.mark.parametrize(
    ("control", "allowed", "media"),
    [
        (SECURE, [], "wss://api.example.com:8443/m"),
        (SECURE, [], "wss://API.example.com:8443/m"),
        (SECURE, [], "wss://api.example.com/m"),
        (SECURE, ["media.example.com"], "wss://media.example.com/m"),
        (SECURE, ["MEDIA.example.com"], "wss://media.EXAMPLE.com:8443/m"),
        (SECURE, ["other.test", "*.example.com"], "wss://a.b.example.com/m"),
        (SECURE, ["*.EXAMPLE.com"], "wss://media.example.com/m"),
        (SECURE, ["10.0.0.1"], "wss://10.0.0.1/m"),
        (SECURE, ["[::1]"], "wss://[::1]/m"),
        (PLAIN, [], "ws://api.example.com:8080/m"),
        (PLAIN, [], "wss://api.example.com/m"),
        (PLAIN, ["media.example.com"], "wss://media.example.com/m"),
        (LOCAL, [], "ws://localhost:8080/m"),
        (LOCAL, ["127.0.0.1"], "ws://127.0.0.1:8080/m"),
        (LOCAL, ["[::1]"], "ws://[::1]:8080/m"),
    ],
)
def test_a_media_url_we_go_to(control: str, allowed: list[str], media: str) -> None:
    assert check_media_url(media, control=parse_ws_url(control), allowed_hosts=allowed) == parse_ws_url(media)


@pytest.mark.parametrize(
    ("control", "allowed", "media", "why"),
    [
        (SECURE, ["*.example.com"], "ws://api.example.com:8443/m", "downgrades"),
        (SECURE, [], "ws://localhost:8443/m", "downgrades"),
        (SECURE, [], "wss://media.example.com/m", "another host"),
        (SECURE, [], "wss://evil.test/m", "another host"),
        (SECURE, [], "wss://169.254.169.254/m", "another host"),
        (SECURE, [], "wss://api.example.com.evil.test/m", "another host"),
        (SECURE, ["*.example.com"], "wss://example.com/m", "another host"),
        (SECURE, ["*.example.com"], "wss://evilexample.com/m", "another host"),
        (SECURE, ["*.0.0.1"], "wss://10.0.0.1/m", "another host"),
        (SECURE, ["*"], "wss://evil.test/m", "another host"),
        (SECURE, ["*."], "wss://evil.test/m", "another host"),
        (SECURE, ["media.*"], "wss://media.evil.test/m", "another host"),
        (SECURE, ["127.0.0.1"], "wss://[::1]/m", "another host"),
        (SECURE, [], "wss://api.example.com:8444/m", "another port"),
        (SECURE, ["media.example.com"], "wss://media.example.com:22/m", "another port"),
        (PLAIN, [], "ws://api.example.com/m", "another port"),
        (PLAIN, ["media.example.com"], "ws://media.example.com:8080/m", "in the clear"),
        (PLAIN, ["*.example.com"], "ws://media.example.com:443/m", "in the clear"),
        (LOCAL, ["10.0.0.1"], "ws://10.0.0.1:8080/m", "in the clear"),
    ],
)
def test_a_media_url_we_never_go_to(control: str, allowed: list[str], media: str, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why) as refusal:
        check_media_url(media, control=parse_ws_url(control), allowed_hosts=allowed)
    assert "evil" not in str(refusal.value)
