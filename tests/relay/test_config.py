"""What a RELAY client must know: given, from the environment, or refused with a sentence that helps."""

from collections.abc import Sequence
from typing import Any

import pytest

from telcoflow_proto.relay.config import RelayConfig
from telcoflow_proto.relay.messages import Credentials
from telcoflow_proto.secret import Secret
from tests.relay.ends import JWT, PROJECT, TOKEN

FULL = {
    "SIGNALWIRE_PROJECT_ID": PROJECT,
    "SIGNALWIRE_API_TOKEN": TOKEN,
    "SIGNALWIRE_JWT_TOKEN": JWT,
    "SIGNALWIRE_SPACE": "space.example.com",
    "SIGNALWIRE_RELAY_SCHEME": "wss",
    "RELAY_MAX_ACTIVE_CALLS": "5",
    "SIGNALWIRE_RELAY_CA_FILE": "/etc/ca.pem",
}


def checked(**given: Any) -> RelayConfig:
    nothing: dict[str, Any] = {
        "project": None,
        "token": None,
        "jwt_token": None,
        "host": None,
        "contexts": None,
        "max_active_calls": None,
        "scheme": None,
        "allow_plaintext": False,
        "environment": {},
    }
    return RelayConfig.checked(**{**nothing, **given})


def good(**given: Any) -> RelayConfig:
    return checked(**{"project": PROJECT, "token": TOKEN, **given})


def test_what_nobody_said_has_a_default() -> None:
    config = good()
    assert config.credentials == Credentials(project=Secret(PROJECT), token=Secret(TOKEN))
    assert str(config.url) == "wss://relay.signalwire.com/"
    assert (config.contexts, config.max_active_calls, config.ca_path) == ((), 1000, None)
    assert config.project_id == PROJECT


def test_the_environment_fills_in() -> None:
    config = checked(environment=FULL)
    assert config.credentials == Credentials(project=Secret(PROJECT), token=Secret(TOKEN), jwt_token=Secret(JWT))
    assert str(config.url) == "wss://space.example.com/"
    assert (config.max_active_calls, config.ca_path) == (5, "/etc/ca.pem")


def test_what_is_given_goes_before_the_environment() -> None:
    config = checked(
        project="p", token="t", jwt_token="j", host="h", contexts=["c"], max_active_calls=2, environment=FULL
    )
    assert config.credentials == Credentials(project=Secret("p"), token=Secret("t"), jwt_token=Secret("j"))
    assert (config.url.host, config.contexts, config.max_active_calls) == ("h", ("c",), 2)


def test_an_empty_text_counts_as_not_given() -> None:
    config = checked(project="", token="", jwt_token="", host="", environment=FULL)
    assert config.project_id == PROJECT
    assert config.url.host == "space.example.com"
    bare = good(environment={"SIGNALWIRE_JWT_TOKEN": "", "SIGNALWIRE_SPACE": "", "SIGNALWIRE_RELAY_CA_FILE": ""})
    assert (bare.credentials.jwt_token, bare.url.host, bare.ca_path) == (None, "relay.signalwire.com", None)


def test_a_jwt_needs_nothing_else() -> None:
    config = checked(jwt_token=JWT)
    assert config.credentials == Credentials(jwt_token=Secret(JWT))
    assert config.project_id == ""


def test_a_missing_project_is_named_first_and_alone() -> None:
    for given in ({}, {"token": TOKEN}):
        with pytest.raises(ValueError, match="project is required") as refused:
            checked(**given)
        assert "SIGNALWIRE_PROJECT_ID" in str(refused.value)
        assert "token is required" not in str(refused.value)


def test_a_missing_token_is_named_alone() -> None:
    with pytest.raises(ValueError, match="token is required") as refused:
        checked(project=PROJECT)
    assert "SIGNALWIRE_API_TOKEN" in str(refused.value)
    assert "project is required" not in str(refused.value)


@pytest.mark.parametrize("contexts", [None, [], (), ["a", "b"]])
def test_contexts_are_a_list(contexts: Sequence[str] | None) -> None:
    assert good(contexts=contexts).contexts == tuple(contexts or ())


def test_one_text_is_no_list_of_contexts() -> None:
    with pytest.raises(ValueError, match="contexts must be a list of texts"):
        good(contexts="default")


@pytest.mark.parametrize("host", ["a@b", "a/b", "a?b", "a\rb", "a\nb", "a b", "a#b", "a\\b", "a..b", "a:0", "a:99999"])
def test_a_host_is_a_host_and_nothing_else(host: str) -> None:
    with pytest.raises(ValueError, match="Invalid host"):
        good(host=host)


def test_a_password_in_a_host_is_not_shown() -> None:
    for host in (f"user:{TOKEN}@relay.example.com", f"wss://{TOKEN}@relay.example.com"):
        with pytest.raises(ValueError, match="Invalid host") as refused:
            good(host=host)
        assert TOKEN not in str(refused.value)
        assert "relay.example.com" in str(refused.value)


def test_a_host_may_name_a_port() -> None:
    url = good(host="Relay.Example.com:8443").url
    assert (url.host, url.port, url.secure, url.target) == ("relay.example.com", 8443, True, "/")


def test_the_scheme_is_one_of_two() -> None:
    with pytest.raises(ValueError, match="scheme must be 'wss' or 'ws', got 'https'"):
        good(scheme="https")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:8080"])
def test_plain_ws_is_for_loopback(host: str) -> None:
    assert not good(host=host, scheme="ws").url.secure
    assert not good(host=host, environment={"SIGNALWIRE_RELAY_SCHEME": "ws"}).url.secure


def test_plain_ws_elsewhere_must_be_allowed() -> None:
    with pytest.raises(ValueError, match="scheme must be wss"):
        good(scheme="ws")
    assert not good(scheme="ws", allow_plaintext=True).url.secure


@pytest.mark.parametrize(
    ("given", "variable", "most"),
    [
        (None, None, 1000),
        (None, "7", 7),
        (None, " 7 ", 7),
        (None, "0", 1),
        (None, "", 1000),
        (None, "many", 1000),
        (None, "-3", 1000),
        (3, "7", 3),
        (0, "7", 1),
        (-3, None, 1),
    ],
)
def test_the_limit_of_active_calls(given: int | None, variable: str | None, most: int) -> None:
    environment = {} if variable is None else {"RELAY_MAX_ACTIVE_CALLS": variable}
    assert good(max_active_calls=given, environment=environment).max_active_calls == most


def test_a_configuration_shows_no_secret() -> None:
    shown = repr(checked(environment=FULL)) + str(checked(environment=FULL))
    assert not any(secret in shown for secret in (PROJECT, TOKEN, JWT))
