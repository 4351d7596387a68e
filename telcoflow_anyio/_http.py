"""REST requests through httpx: same host, same credentials, same TLS policy as the control connection."""

import ssl

import anyio
import httpx

from telcoflow_proto.config import ClientConfig
from telcoflow_proto.exceptions import WSSConnectionError
from telcoflow_proto.rest import MOST_BYTES, RestRequest
from telcoflow_proto.version import WIRE_VERSION

_WITHIN = 10.0


async def send(request: RestRequest, config: ClientConfig, tls: ssl.SSLContext) -> tuple[int, bytes]:
    """Send one request; return its status and body. No redirect is followed, no proxy of the environment used.

    Raises WSSConnectionError when there is no answer, or more of it than makes sense.
    """
    base = config.base
    origin = f"{'https' if base.secure else 'http'}://{base.host_header}{base.target.rstrip('/')}"
    headers = dict([*config.credentials, ("x-sdk-version", WIRE_VERSION)])
    status, body = 0, b""
    try:
        with anyio.CancelScope() as scope:
            async with (
                httpx.AsyncClient(verify=tls, trust_env=False, follow_redirects=False, timeout=_WITHIN) as client,
                client.stream(request.method, origin + request.target, headers=headers) as response,
            ):
                status = response.status_code
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        scope.cancel()  # not by leaving the loop: httpx would leave its generators behind
    except (httpx.HTTPError, OSError) as error:
        raise WSSConnectionError(f"no answer from {base}: {str(error) or type(error).__name__}") from None
    if len(body) > MOST_BYTES:
        raise WSSConnectionError(f"the reply of {base} is longer than {MOST_BYTES} bytes")
    return status, body
