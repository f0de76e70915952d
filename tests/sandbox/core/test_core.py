"""The sandbox's packet core against a charging function that grants as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sandbox.core import PacketCore
from tests.serving import serving

COLLECTION = "/nchf-convergedcharging/v3/chargingdata"


class Charging:
    """A charging function (TS 32.291) that has so much to give."""

    def __init__(self) -> None:
        self.left = 0
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.url = ""
        self.application = web.Application()
        self.application.add_routes(
            [
                web.post(COLLECTION, self._create),
                web.post(COLLECTION + "/one/update", self._update),
                web.post(COLLECTION + "/one/release", self._release),
            ]
        )

    @property
    def used(self) -> int:
        return sum(
            container["totalVolume"]
            for _, said in self.heard
            for container in said["multipleUnitUsage"][0].get("usedUnitContainer", ())
        )

    def _grant(self, asked: dict[str, Any]) -> dict[str, Any]:
        given = min(self.left, asked["multipleUnitUsage"][0]["requestedUnit"]["totalVolume"])
        self.left -= given
        group = {"ratingGroup": 10, "resultCode": "SUCCESS", "grantedUnit": {"totalVolume": given}}
        if not given:
            group = {"ratingGroup": 10, "resultCode": "QUOTA_LIMIT_REACHED"}
        return {"multipleUnitInformation": [group]}

    async def _create(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer key"
        self.heard.append(("create", await request.json()))
        # As a path: the core finds the server itself.
        return web.json_response(self._grant(self.heard[-1][1]), status=201, headers={"Location": f"{COLLECTION}/one"})

    async def _update(self, request: web.Request) -> web.Response:
        self.heard.append(("update", await request.json()))
        return web.json_response(self._grant(self.heard[-1][1]))

    async def _release(self, request: web.Request) -> web.Response:
        self.heard.append(("release", await request.json()))
        return web.Response(status=204)


@pytest.fixture
async def charging() -> AsyncIterator[Charging]:
    charging = Charging()
    async with serving(charging.application) as charging.url:
        yield charging


@pytest.fixture
async def core(charging: Charging) -> AsyncIterator[PacketCore]:
    core = PacketCore(charging.url, "key", pace=0.0)
    await core.start()
    yield core
    await core.stop()


@pytest.fixture
async def client(core: PacketCore) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(core.base_url) as session:
        yield session


async def begin(client: aiohttp.ClientSession, amount: int = 100) -> int:
    asked = {"msisdn": "+254712345001", "rating_group": 10, "unit": "octets", "amount": amount}
    async with client.post("/uses", json=asked) as answer:
        assert answer.status == 201
        return int((await answer.json())["number"])


async def until(client: aiohttp.ClientSession, number: int, state: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            async with client.get(f"/uses/{number}") as answer:
                use = await answer.json()
            if use["state"] == state:
                return dict(use)


async def test_what_is_used_is_reported_once_in_numbered_requests_and_the_session_is_released(
    charging: Charging, client: aiohttp.ClientSession
) -> None:
    charging.left = 1000
    use = await until(client, await begin(client), "ended")
    assert (use["used"], charging.used) == (100, 100)
    whats = [what for what, _ in charging.heard]
    assert (whats[0], whats[-1], set(whats[1:-1])) == ("create", "release", {"update"})
    assert [said["invocationSequenceNumber"] for _, said in charging.heard] == list(range(len(whats)))
    user = charging.heard[0][1]["pDUSessionChargingInformation"]["userInformation"]
    assert user == {"servedGPSI": "msisdn-254712345001"}


async def test_without_quota_the_flow_stops_and_goes_on_when_the_charging_function_says_so(
    charging: Charging, client: aiohttp.ClientSession
) -> None:
    charging.left = 25
    number = await begin(client)
    stopped = await until(client, number, "stopped")
    assert (stopped["used"], charging.used) == (25, 25)
    charging.left = 1000
    notify = charging.heard[0][1]["notifyUri"]
    async with client.post(notify, json={"notificationType": "REAUTHORIZATION"}) as answer:
        assert answer.status == 204
    ended = await until(client, number, "ended")
    assert (ended["used"], charging.used) == (100, 100)
    assert [event["what"] for event in ended["events"] if event["what"] in {"stopped", "notified", "resumed"}] == [
        "stopped",
        "notified",
        "resumed",
    ]
    async with client.post(notify, json={"notificationType": "REAUTHORIZATION"}) as answer:
        assert answer.status == 404


async def test_a_person_who_stops_ends_the_session(charging: Charging, client: aiohttp.ClientSession) -> None:
    number = await begin(client)
    await until(client, number, "stopped")
    await client.post(f"/uses/{number}/stop")
    await until(client, number, "ended")
    assert charging.heard[-1][0] == "release"


async def test_a_refused_session_says_why(charging: Charging, core: PacketCore, client: aiohttp.ClientSession) -> None:
    stranger = PacketCore(charging.url + "/nowhere", "key")
    await stranger.start()
    async with aiohttp.ClientSession(stranger.base_url) as at_stranger:
        use = await until(at_stranger, await begin(at_stranger), "failed")
    await stranger.stop()
    assert [event["what"] for event in use["events"]] == ["failed"]


@pytest.mark.parametrize(
    "wrong",
    [{}, {"unit": "hours"}, {"amount": 0}, {"amount": -5}, {"msisdn": "x"}, {"rating_group": -1}],
)
async def test_a_use_that_makes_no_sense_is_refused(client: aiohttp.ClientSession, wrong: dict[str, Any]) -> None:
    asked = {"msisdn": "254712345001", "rating_group": 10, "unit": "octets", "amount": 5, **wrong}
    if not wrong:
        asked = {}
    async with client.post("/uses", json=asked) as answer:
        assert answer.status == 400
