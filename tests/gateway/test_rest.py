"""The REST routes, as the vendor's client uses them."""

from typing import Any

import httpx
import pytest

from telcoflow_anyio.gateway import Callee, Caller, Gateway
from telcoflow_proto.control.messages import SessionClosed
from telcoflow_proto.media.events import CallEnded, EndReason
from tests.gateway.agent import CREDENTIALS, agent, claim, media, serving


def rest(gateway: Gateway, **options: Any) -> httpx.AsyncClient:
    base = gateway.base_url.replace("ws", "http", 1)
    return httpx.AsyncClient(**{"base_url": base, "headers": dict(CREDENTIALS), "trust_env": False, **options})


async def test_anybody_may_ask_whether_it_lives() -> None:
    async with serving() as gateway, rest(gateway, headers={}) as http:
        assert (await http.get("/healthz")).text == "ok"


async def test_open_sessions_are_listed_and_filtered() -> None:
    async with serving() as gateway, rest(gateway) as http:
        first = await gateway.place_call(Caller(number="+15551"), Callee(number="+15552"))
        second = await gateway.place_call(Caller(number="+15553"))

        async def listed(**query: str) -> list[str]:
            response = await http.get("/public/v1/sessions", params=query)
            return [item["id"] for item in response.json()["items"]]

        assert await listed() == await listed(state="OPEN", channel="TELCO") == [first.session_id, second.session_id]
        assert await listed(remoteAddress="+15553") == [second.session_id]
        assert await listed(channel="WA") == await listed(state="CLOSED") == []
        (item, _) = (await http.get("/public/v1/sessions")).json()["items"]
        assert item.pop("openedAt") > 1_700_000_000
        assert item == {
            "id": first.session_id,
            "channel": "TELCO",
            "initiator": "CONNECTOR",
            "state": "OPEN",
            "remoteAddress": "+15551",
            "localAddress": "+15552",
            "closedAt": None,
        }


async def test_closing_a_session_ends_its_call() -> None:
    async with serving() as gateway, rest(gateway) as http, agent(gateway) as control:
        call = await gateway.place_call()
        async with media(await claim(control)) as line:
            await line.say("answer")
            response = await http.post(f"/public/v1/sessions/{call.session_id}/close")
            assert response.json()["reason"] == "SDK_REQUEST"
            assert isinstance(response.json()["closedAt"], int)
            assert (await line.next(CallEnded)).reason is EndReason.TERMINATED
            assert (await control.next(SessionClosed)).reason == "SDK_REQUEST"
        assert call.ended_by == "service"
        again = await http.post(f"/public/v1/sessions/{call.session_id}/close")
        assert (again.status_code, again.json()["code"]) == (404, "SESSION_NOT_FOUND")


@pytest.mark.parametrize(("method", "path"), [("GET", "/public/v1/sessions"), ("POST", "/public/v1/sessions/x/close")])
async def test_strangers_are_turned_away(method: str, path: str) -> None:
    async with serving() as gateway, rest(gateway, headers={"x-api-key": "test-key"}) as http:
        response = await http.request(method, path)
        assert response.status_code == 401
        assert response.json() == {"code": "UNAUTHORIZED", "message": "unknown API key or connector"}
