"""The same canaries on real sockets, where TLS, HTTP and the event loops have loggers of their own: row D52."""

from typing import Any

import anyio
import trustme

from telcoflow_anyio.gateway import Gateway
from tests.adapters.acts import outcome, taking, until
from tests.adapters.test_tls import ca, service_with, serving, settings
from tests.reliability.test_real_sockets import anyio_backend, client_of, serving_plain
from tests.reliability.test_secrets import everything_logged, harmless, shown
from tests.world.service import http
from tests.world.world import CONNECTOR, KEY, Case

__all__ = ["anyio_backend", "ca"]


async def test_D52_nothing_on_a_real_socket_shows_a_secret(case: Case, ca: trustme.CA) -> None:
    seen: list[Any] = []
    known: dict[str, Any] = {"api_key": KEY, "connector_uuid": CONNECTOR}
    with everything_logged() as written, anyio.fail_after(20):
        async with serving_plain() as (service, port, _):
            async with client_of(case, port, **known) as client:
                calls = taking(client)
                await service.announce_call(url=f"ws://127.0.0.1:{port}/media/1", upgrade=http(401, body="no"))
                await service.announce_call(url=f"ws://127.0.0.1:{port}/media/2")
                await until(lambda: len(calls) == 2, within=5)
                seen += [await outcome(call.answer) for call in calls]
            service.upgrade = [http(403, body="no")]
            seen.append(await outcome(client_of(case, port, **known).connect))
        async with Gateway(credentials={KEY: CONNECTOR}) as gateway:
            port = int(gateway.base_url.rsplit(":", 1)[1])
            async with client_of(case, port, **known) as client:
                calls = taking(client)
                placed = await gateway.place_call()
                await until(lambda: calls, within=5)
                seen += [await outcome(client.list_sessions), await outcome(calls[0].answer)]
                token = placed.token
        async with service_with(serving(ca.issue_cert("localhost"))) as (_, secure):
            adapter, config = settings(case, secure)
            seen.append(await outcome(adapter.TelcoflowClient(config).connect))
        seen.append(await outcome(client_of(case, 1, **known).connect))
    assert sum(isinstance(one, Exception) for one in seen) == 4
    for thing in seen:
        assert harmless(shown(thing))
        assert token not in shown(thing)
    assert harmless(written.getvalue())
    assert token not in written.getvalue()
