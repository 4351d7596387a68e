"""What every client machine reports of its connections, whatever they carry."""

from typing import final

import attrs

from telcoflow_proto.attempt import Attempt
from telcoflow_proto.errors import ProtocolError
from telcoflow_proto.origin import WsUrl


@final
@attrs.frozen(kw_only=True)
class TransportWanted:
    """Open a byte stream to ``url`` (TLS if secure) and drive ``attempt`` over it, or say ``fail_transport``."""

    url: WsUrl
    attempt: Attempt


@final
@attrs.frozen(kw_only=True)
class ClientReady:
    """The control connection is set up; ``attempt`` 0 is the first time, else how many attempts it took."""

    attempt: int


@final
@attrs.frozen(kw_only=True)
class ClientLost:
    """The control connection is gone. The next attempt starts in ``retry_in`` seconds; None: there is none.

    ``credentials_refused`` tells that another attempt with the same ones is pointless, ``wanted`` that we
    closed it ourselves.
    """

    code: int
    reason: str
    error: ProtocolError | None
    credentials_refused: bool
    wanted: bool
    attempt: int
    retry_in: float | None
