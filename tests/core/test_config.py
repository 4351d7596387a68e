"""A configuration is checked once, and says which field is wrong and how to mend it."""

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from telcoflow_proto.config import CONTROL_PATH, DEFAULT_BASE_URL, ClientConfig


class Configured(ClientConfig):
    """An adapter's subclass with an environment and a disk made up."""

    @staticmethod
    def _environment() -> Mapping[str, str]:
        return {"TELCOFLOW_BASE_URL": "wss://env.example"}

    @staticmethod
    def _readable(path: str) -> bool:
        return not path.startswith("missing")


def sandbox(**changes: Any) -> ClientConfig:
    return ClientConfig.sandbox(**{"api_key": "key-canary", "connector_uuid": "uuid", **changes})


def production(**changes: Any) -> ClientConfig:
    return Configured.production(**{"cert_path": "cert", "key_path": "key", **changes})


def test_the_vendors_service_is_the_default() -> None:
    config = sandbox()
    assert str(config.control_url) == DEFAULT_BASE_URL + CONTROL_PATH
    assert config.media_hosts == ("*.agentao.com", "*.telcoflow.com")
    assert config.ca_path is None
    assert (config.sample_rate, config.buffer_size, config.isolated) == (24000, 1048576, False)
    assert config.credentials == [("x-api-key", "key-canary"), ("x-connector-uuid", "uuid")]
    assert "canary" not in repr(config)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.sample_rate = 8000  # type: ignore[misc]


def test_the_environment_names_another_service_and_the_argument_wins() -> None:
    assert str(production().control_url) == "wss://env.example" + CONTROL_PATH
    config = production(base_url="wss://here.example/base/", media_hosts=["m.example"], audio_mode="isolated")
    assert str(config.control_url) == "wss://here.example/base" + CONTROL_PATH
    assert config.media_hosts == ("m.example",)
    assert config.isolated
    assert config.credentials == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"api_key": None}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "key-canary\r\nX: y"}, "api_key"),
        ({"api_key": "key canary"}, "api_key"),
        ({"api_key": "key-cänary"}, "api_key"),
        ({"connector_uuid": None}, "connector_uuid"),
        ({"sample_rate": 44100}, "sample_rate"),
        ({"sample_rate": "8000"}, "sample_rate"),
        ({"sample_rate": True}, "sample_rate"),
        ({"audio_mode": "stereo"}, "audio_mode"),
        ({"buffer_size": 10}, "buffer_size"),
        ({"buffer_size": True}, "buffer_size"),
        ({"base_url": "http://x.example"}, "base_url"),
        ({"base_url": "wss://x.example/?a=b"}, "base_url"),
        ({"base_url": "ws://x.example"}, "base_url"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_is(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field) as caught:
        sandbox(**changes)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("base_url", ["ws://localhost:8080", "ws://127.0.0.1:8080", "ws://[::1]:8080"])
def test_plaintext_is_for_loopback(base_url: str) -> None:
    assert not sandbox(base_url=base_url).base.secure


def test_plaintext_elsewhere_wants_a_word() -> None:
    assert not sandbox(base_url="ws://x.example", allow_plaintext=True).base.secure


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cert_path": None}, "cert_path"),
        ({"key_path": ""}, "key_path"),
        ({"cert_path": "missing.pem"}, "cert_path"),
        ({"key_path": "missing.pem"}, "key_path"),
        ({"ca_path": "missing.pem"}, "ca_path"),
    ],
)
def test_files_that_are_not_there_are_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        production(**changes)


def test_a_ca_bundle_may_be_given() -> None:
    assert sandbox(ca_path="ca.pem").ca_path == "ca.pem"


def test_who_only_takes_calls_over_needs_no_credentials() -> None:
    config = Configured.for_handover(sample_rate=8000, audio_mode="isolated", ca_path="ca", media_hosts=["m.example"])
    assert str(config.control_url) == "wss://env.example" + CONTROL_PATH
    assert (config.sample_rate, config.isolated, config.ca_path) == (8000, True, "ca")
    assert config.media_hosts == ("m.example",)
    assert config.credentials == []
    assert not ClientConfig.for_handover(base_url="ws://x.example", allow_plaintext=True).base.secure
    for wrong, field in (({"sample_rate": 1}, "sample_rate"), ({"base_url": "ws://x.example"}, "base_url")):
        with pytest.raises(ValueError, match=field):
            ClientConfig.for_handover(**wrong)


@pytest.mark.parametrize(
    ("config", "given"),
    [
        (
            sandbox(sample_rate=8000, buffer_size=4096, audio_mode="isolated", ca_path="ca", media_hosts=["m.example"]),
            {"connector_uuid": "uuid", "sample_rate": 8000, "buffer_size": 4096, "audio_mode": "isolated"},
        ),
        (
            production(
                sample_rate=16000, buffer_size=64 << 20, audio_mode="isolated", ca_path="ca", media_hosts=["m.example"]
            ),
            {
                "cert_path": "cert",
                "key_path": "key",
                "sample_rate": 16000,
                "buffer_size": 64 << 20,
                "audio_mode": "isolated",
            },
        ),
        (
            Configured.for_handover(sample_rate=16000, audio_mode="isolated", ca_path="ca", media_hosts=["m.example"]),
            {"sample_rate": 16000, "buffer_size": 1 << 20, "audio_mode": "isolated"},
        ),
        (
            Configured.for_handover(ca_path="ca", media_hosts=["m.example"]),
            {"sample_rate": 24000, "buffer_size": 1 << 20, "audio_mode": "mixed"},
        ),
    ],
)
def test_what_is_given_is_what_is_configured(config: ClientConfig, given: dict[str, object]) -> None:
    found = attrs.asdict(
        config, filter=lambda field, value: value is not None and field.name not in {"base", "api_key"}
    )
    hosts = ("*.agentao.com", "*.telcoflow.com") if type(config) is ClientConfig else ()
    assert found == {**given, "ca_path": "ca", "media_hosts": ("m.example", *hosts)}


def test_the_buffer_has_a_least_and_a_largest_size() -> None:
    for size in (4095, (64 << 20) + 1):
        with pytest.raises(ValueError, match="4096 to 67108864 bytes"):
            sandbox(buffer_size=size)


def test_only_slashes_are_cut_from_the_end_of_a_base_url() -> None:
    config = sandbox(base_url="wss://here.example/FAX//")
    assert config.base.target == "/FAX"
    assert config.control_url.target == "/FAX" + CONTROL_PATH
