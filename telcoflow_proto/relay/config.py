"""What a RELAY client needs to know before it connects, checked once, at construction.

The core reads no environment: an adapter hands its own in.
"""

from collections.abc import Mapping, Sequence
from typing import Self, final

import attrs

from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.origin import WsUrl, parse_ws_url
from telcoflow_proto.relay.messages import Credentials
from telcoflow_proto.secret import Secret

DEFAULT_HOST = "relay.signalwire.com"
_NOT_IN_A_HOST = "@/?\r\n #\\"


@final
@attrs.frozen(kw_only=True)
class RelayConfig:
    """A checked configuration: make one with ``checked``."""

    url: WsUrl
    credentials: Credentials
    contexts: tuple[str, ...]
    max_active_calls: int
    ca_path: str | None = None

    @classmethod
    def checked(
        cls,
        *,
        project: str | None,
        token: str | None,
        jwt_token: str | None,
        host: str | None,
        contexts: Sequence[str] | None,
        max_active_calls: int | None,
        scheme: str | None,
        allow_plaintext: bool,
        environment: Mapping[str, str],
    ) -> Self:
        """Fill in from the environment what was not given, and check all of it.

        Raises ValueError that names what is missing or wrong and where to set it, never a secret.
        """
        jwt = jwt_token or environment.get("SIGNALWIRE_JWT_TOKEN")
        project = project or environment.get("SIGNALWIRE_PROJECT_ID")
        token = token or environment.get("SIGNALWIRE_API_TOKEN")
        if not jwt and not project:
            raise ValueError("project is required: pass project=, or set SIGNALWIRE_PROJECT_ID (or use a JWT)")
        if not jwt and not token:
            raise ValueError("token is required: pass token=, or set SIGNALWIRE_API_TOKEN (or use a JWT)")
        if isinstance(contexts, str):
            raise ValueError("contexts must be a list of texts, not one text")  # noqa: TRY004 - one kind for all
        return cls(
            url=_url(
                host or environment.get("SIGNALWIRE_SPACE") or DEFAULT_HOST,
                scheme or environment.get("SIGNALWIRE_RELAY_SCHEME") or "wss",
                allow_plaintext=allow_plaintext,
            ),
            credentials=Credentials(
                project=Secret(project) if project else None,
                token=Secret(token) if token else None,
                jwt_token=Secret(jwt) if jwt else None,
            ),
            contexts=tuple(contexts or ()),
            max_active_calls=_most_calls(max_active_calls, environment.get("RELAY_MAX_ACTIVE_CALLS")),
            ca_path=environment.get("SIGNALWIRE_RELAY_CA_FILE") or None,
        )

    @property
    def project_id(self) -> str:
        """The project as calls show it; empty with a JWT that names none."""
        return "" if self.credentials.project is None else self.credentials.project.reveal()


def _url(host: str, scheme: str, *, allow_plaintext: bool) -> WsUrl:
    if any(character in host for character in _NOT_IN_A_HOST):
        shown = host.rpartition("@")[2]  # what stands before it may be a password
        raise ValueError(f"Invalid host {shown!r}: give a host name, with a port if need be, and nothing else")
    if scheme not in {"ws", "wss"}:
        raise ValueError(f"scheme must be 'wss' or 'ws', got {scheme!r}")
    try:
        url = parse_ws_url(f"{scheme}://{host}")
    except ValueError as error:
        raise ValueError(f"Invalid host {host!r}: {error}") from None
    if not url.secure and not url.loopback and not allow_plaintext:
        raise ValueError("scheme must be wss: plain ws is for loopback, or with allow_plaintext=True")
    return url


def _most_calls(given: int | None, variable: str | None) -> int:
    """Return the limit of active calls, at least 1; a variable that is no number counts as none."""
    if given is not None:
        return max(1, given)
    if variable is not None and variable.strip().isdecimal():
        return max(1, int(variable))
    return DEFAULT_LIMITS.calls
