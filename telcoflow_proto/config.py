"""What a client needs to know before it connects, checked once, at construction.

The core reads no environment and no disk: an adapter's subclass fills in the two hooks at the end.
"""

from collections.abc import Mapping, Sequence
from typing import Self, TypeVar

import attrs

from telcoflow_proto.control.messages import AUDIO_MODES, SAMPLE_RATES
from telcoflow_proto.handshake import Headers
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.origin import WsUrl, parse_ws_url
from telcoflow_proto.secret import Secret

DEFAULT_BASE_URL = "wss://wss-prod.agentao.com"
BASE_URL_VARIABLE = "TELCOFLOW_BASE_URL"
CONTROL_PATH = "/v1/agent/session-manager"
_SERVICE_HOSTS = ("*.agentao.com", "*.telcoflow.com")
_BUFFER_SIZES = range(4096, 64 * 1024 * 1024 + 1)
_T = TypeVar("_T")


@attrs.frozen(kw_only=True)
class ClientConfig:
    """A checked configuration: make one with ``sandbox`` or ``production``."""

    base: WsUrl
    api_key: Secret | None = None
    connector_uuid: str | None = None
    cert_path: str | None = None
    key_path: str | None = None
    ca_path: str | None = None
    sample_rate: int = 24000
    buffer_size: int = DEFAULT_LIMITS.audio_out_bytes
    audio_mode: str = "mixed"
    media_hosts: tuple[str, ...] = ()

    @classmethod
    def sandbox(
        cls,
        *,
        api_key: str | None,
        connector_uuid: str | None,
        sample_rate: int = 24000,
        buffer_size: int = DEFAULT_LIMITS.audio_out_bytes,
        audio_mode: str = "mixed",
        base_url: str | None = None,
        ca_path: str | None = None,
        media_hosts: Sequence[str] = (),
        allow_plaintext: bool = False,
    ) -> Self:
        """Configure a client that proves itself with an API key.

        ``sample_rate`` is 8000, 16000 or 24000 Hz, ``buffer_size`` the outgoing audio queue in bytes,
        ``audio_mode`` "mixed" or "isolated". ``base_url`` is where the service is; without it, the vendor's
        (an adapter's configuration looks at the environment variable TELCOFLOW_BASE_URL first).
        ``media_hosts`` are further hosts a call's audio may live on (``*.example.com`` for all below). Plain
        ``ws`` is for loopback, or ``allow_plaintext=True``.

        Raises ValueError that names the field and the fix, never the secret.
        """
        return cls._checked(
            base_url,
            allow_plaintext=allow_plaintext,
            media_hosts=media_hosts,
            api_key=Secret(_header_text("api_key", api_key)),
            connector_uuid=_header_text("connector_uuid", connector_uuid),
            ca_path=ca_path,
            sample_rate=sample_rate,
            buffer_size=buffer_size,
            audio_mode=audio_mode,
        )

    @classmethod
    def production(
        cls,
        *,
        cert_path: str | None,
        key_path: str | None,
        sample_rate: int = 24000,
        buffer_size: int = DEFAULT_LIMITS.audio_out_bytes,
        audio_mode: str = "mixed",
        base_url: str | None = None,
        ca_path: str | None = None,
        media_hosts: Sequence[str] = (),
    ) -> Self:
        """Configure a client that proves itself with a client certificate (PEM files).

        ``ca_path`` is a CA bundle to trust instead of the system's; the rest is as for ``sandbox``.
        Raises ValueError that names the field and the fix.
        """
        if not cert_path or not key_path:
            missing = "key_path" if cert_path else "cert_path"
            raise ValueError(f"{missing} is missing: give the path of a PEM file")
        return cls._checked(
            base_url,
            allow_plaintext=False,
            media_hosts=media_hosts,
            cert_path=str(cert_path),
            key_path=str(key_path),
            ca_path=ca_path,
            sample_rate=sample_rate,
            buffer_size=buffer_size,
            audio_mode=audio_mode,
        )

    @classmethod
    def for_handover(
        cls,
        *,
        sample_rate: int = 24000,
        audio_mode: str = "mixed",
        base_url: str | None = None,
        ca_path: str | None = None,
        media_hosts: Sequence[str] = (),
        allow_plaintext: bool = False,
    ) -> Self:
        """Configure a process that only takes over calls: it needs no credentials, the call brings its token.

        ``sample_rate`` and ``audio_mode`` must be those of the process that handed the call over.
        """
        return cls._checked(
            base_url,
            allow_plaintext=allow_plaintext,
            media_hosts=media_hosts,
            ca_path=ca_path,
            sample_rate=sample_rate,
            buffer_size=DEFAULT_LIMITS.audio_out_bytes,
            audio_mode=audio_mode,
        )

    @classmethod
    def _checked(
        cls,
        base_url: str | None,
        *,
        allow_plaintext: bool,
        media_hosts: Sequence[str],
        sample_rate: int,
        buffer_size: int,
        audio_mode: str,
        ca_path: str | None,
        api_key: Secret | None = None,
        connector_uuid: str | None = None,
        cert_path: str | None = None,
        key_path: str | None = None,
    ) -> Self:
        base = cls._base(base_url, allow_plaintext=allow_plaintext)
        _one_of("sample_rate", sample_rate, SAMPLE_RATES)
        _one_of("audio_mode", audio_mode, AUDIO_MODES)
        if isinstance(buffer_size, bool) or buffer_size not in _BUFFER_SIZES:
            raise ValueError(
                f"buffer_size must be {_BUFFER_SIZES[0]} to {_BUFFER_SIZES[-1]} bytes, got {buffer_size!r}"
            )
        for name, path in (("cert_path", cert_path), ("key_path", key_path), ("ca_path", ca_path)):
            if path is not None and not cls._readable(str(path)):
                raise ValueError(f"{name} cannot be read: there is no readable file at {str(path)!r}")
        own_service = any(base.host.endswith(host[1:]) for host in _SERVICE_HOSTS)
        return cls(
            base=base,
            api_key=api_key,
            connector_uuid=connector_uuid,
            cert_path=cert_path,
            key_path=key_path,
            ca_path=None if ca_path is None else str(ca_path),
            sample_rate=sample_rate,
            buffer_size=buffer_size,
            audio_mode=audio_mode,
            media_hosts=(*media_hosts, *(_SERVICE_HOSTS if own_service else ())),
        )

    @classmethod
    def _base(cls, base_url: str | None, *, allow_plaintext: bool) -> WsUrl:
        named = "base_url" if base_url else BASE_URL_VARIABLE
        text = base_url or cls._environment().get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL
        try:
            base = parse_ws_url(text.rstrip("/"))
        except ValueError as error:
            raise ValueError(f"{named} {error}") from None
        if "?" in base.target:
            raise ValueError(f"{named} must have no query")
        if not base.secure and not base.loopback and not allow_plaintext:
            raise ValueError(f"{named} must use wss: plain ws is for loopback, or with allow_plaintext=True")
        return base

    @property
    def control_url(self) -> WsUrl:
        """Where the control connection goes."""
        return attrs.evolve(self.base, target=self.base.target.rstrip("/") + CONTROL_PATH)

    @property
    def isolated(self) -> bool:
        """True when legs come on channels of their own."""
        return self.audio_mode == "isolated"

    @property
    def credentials(self) -> Headers:
        """The header lines that prove who we are; none with a client certificate. These are secrets."""
        if self.api_key is None or self.connector_uuid is None:
            return []
        return [("x-api-key", self.api_key.reveal()), ("x-connector-uuid", self.connector_uuid)]

    @staticmethod
    def _environment() -> Mapping[str, str]:
        """An adapter returns the process's environment."""
        return {}

    @staticmethod
    def _readable(path: str) -> bool:
        """An adapter looks at the disk."""
        return bool(path)


def _header_text(name: str, value: str | None) -> str:
    if not value:
        raise ValueError(f"{name} is missing: pass it, or set the variable your program reads it from")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ValueError(f"{name} must be visible ASCII without spaces: it is sent in an HTTP header")
    return value


def _one_of(name: str, value: _T, allowed: Sequence[_T]) -> None:
    if isinstance(value, bool) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}")
