"""Every gateway over real HTTP, real Redis and the real engine: one dialogue, spoken in each gateway's own words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from uuid import uuid4

import pytest
from aiohttp import DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from channels.pointers import Pointers
from channels.sessions import SAME_SECONDS
from channels.ussd.adapters import load, shipped
from channels.ussd.routes import BODY_LIMIT, Door, routes
from channels.ussd.voice import Call, Heard, Voice
from channels.ussd.voices import load_voice
from commands.broken import broken
from engine.api import Engine
from engine.words import Subscriber, Unit
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from tests.channels.phone import FACE_VALUE, MSISDN, Talk, money

#: over a connection of ours, with tests of its own
NAMES = sorted({*shipped()} - {"smpp"})
#: hops of these carry no number, and nothing that tells a retry from the same input
UNNUMBERED = ("arkesel", "nalo", "infobip", "restcomm", "comviva", "truroute")


class Server:
    """A server with every gateway, and sessions on it."""

    def __init__(self, client: TestClient[web.Request, web.Application]) -> None:
        self.client = client

    def session(self, name: str, session_id: str = "", msisdn: str = MSISDN) -> Voice:
        return load_voice(name, {})(session_id or uuid4().hex[:16], msisdn, "123")

    async def send(self, name: str, call: Call) -> tuple[int, dict[str, str], bytes]:
        response = await self.client.request(
            call.method,
            f"/ussd/{name}{call.path}",
            params=dict(call.query) or None,
            data=call.body or None,
            headers={"Content-Type": call.content_type} if call.content_type else {},
        )
        return response.status, dict(response.headers), await response.read()

    async def hear(self, name: str, voice: Voice, call: Call) -> Heard:
        status, headers, body = await self.send(name, call)
        assert status == 200, body
        return voice.hear(headers, body)


@pytest.fixture
async def server(talk: Talk, redis_client: Redis, keyring: Keyring) -> AsyncIterator[Server]:
    doors = [Door(name=name, adapter=load(name)(name, "123", {})) for name in NAMES]
    application = web.Application(client_max_size=BODY_LIMIT)
    application.add_routes(routes(doors, talk(), Pointers(redis_client, keyring), Metrics()))
    async with TestClient(TestServer(application), cookie_jar=DummyCookieJar()) as client:
        yield Server(client)


@pytest.mark.parametrize("name", NAMES)
async def test_a_recharge_hop_by_hop(server: Server, engine: Engine, line: str, vouchers: list[str], name: str) -> None:
    voice = server.session(name)
    hear = partial(server.hear, name, voice)
    assert "1 Balance" in (await hear(voice.dial())).text
    await hear(voice.say("2"))
    confirm = await hear(voice.say(vouchers[0]))
    assert not confirm.ends
    assert await money(engine) == 0
    done = await hear(voice.say("1"))
    assert done.ends
    assert await money(engine) == FACE_VALUE


@pytest.mark.parametrize("name", NAMES)
async def test_a_voucher_dialled_at_once_stops_in_front_of_its_confirm_screen(
    server: Server, engine: Engine, line: str, vouchers: list[str], name: str
) -> None:
    voice = server.session(name)
    confirm = await server.hear(name, voice, voice.dial(vouchers[0]))
    assert vouchers[0][-4:] in confirm.text
    assert await money(engine) == 0
    assert (await server.hear(name, voice, voice.say("1"))).ends
    assert await money(engine) == FACE_VALUE


@pytest.mark.parametrize("name", NAMES)
async def test_a_published_code_leads_to_its_confirm_screen_however_its_gateway_spells_it(
    server: Server, engine: Engine, rich: Subscriber, name: str
) -> None:
    spellings = ["*123*21#", "*123*21", "123*21", "21"]
    if name == "comviva":  # only a dialled string says there that a session begins
        spellings = [one for one in spellings if one.startswith("*")]
    for spelled in spellings:
        voice = server.session(name)
        voice.dialled = lambda beyond, spelled=spelled: spelled if beyond else "*123#"  # type: ignore[method-assign]
        confirm = await server.hear(name, voice, voice.dial("21"))
        assert confirm.text.startswith("Buy 100 MB 1 day for KES 20.00?")
    assert (await engine.subscriber(MSISDN)).total(Unit.OCTETS) == 0
    assert (await server.hear(name, voice, voice.say("1"))).ends
    assert (await engine.subscriber(MSISDN)).total(Unit.OCTETS) == 100_000_000


@pytest.mark.parametrize("name", NAMES)
async def test_every_hop_sent_again_is_answered_byte_for_byte_and_pays_once(
    server: Server, engine: Engine, line: str, vouchers: list[str], name: str
) -> None:
    voice = server.session(name)
    for make in (partial(voice.dial, vouchers[0]), partial(voice.say, "1")):
        call = make()
        answers = await asyncio.gather(*(server.send(name, call) for _ in range(4)))
        answers.append(await server.send(name, call))
        assert {(status, body) for status, _, body in answers} == {(200, answers[0][2])}
    assert await money(engine) == FACE_VALUE


@pytest.mark.parametrize("name", NAMES)
async def test_the_same_input_of_a_person_is_not_taken_for_a_retry(
    server: Server, line: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.sessions.SAME_SECONDS", 0.05)
    voice = server.session(name)
    hear = partial(server.hear, name, voice)
    await hear(voice.dial())
    number = await hear(voice.say("2"))
    await asyncio.sleep(0.06)
    assert (await hear(voice.say("2"))).text != number.text


@pytest.mark.parametrize("name", UNNUMBERED)
async def test_without_numbers_the_same_input_at_once_is_a_retry(server: Server, line: str, name: str) -> None:
    assert SAME_SECONDS > 1
    voice = server.session(name)
    hear = partial(server.hear, name, voice)
    await hear(voice.dial())
    number = await hear(voice.say("2"))
    assert await hear(voice.say("2")) == number


@pytest.mark.parametrize("name", NAMES)
async def test_a_session_lost_with_redis_is_said_to_be_lost_or_goes_on(
    server: Server, line: str, redis_client: Redis, name: str
) -> None:
    voice = server.session(name)
    await server.hear(name, voice, voice.dial())
    await redis_client.flushall()
    heard = await server.hear(name, voice, voice.say("2"))
    goes_on = name == "africastalking"
    assert heard.ends is not goes_on


@pytest.mark.parametrize("name", NAMES)
async def test_after_the_gateways_end_the_session_is_over(server: Server, line: str, name: str) -> None:
    voice = server.session(name)
    await server.hear(name, voice, voice.dial())
    call = voice.hang_up()
    if call is None:
        assert name in {"africastalking", "arkesel", "nalo"}, (
            "its end has a path of its own, or there is no word for it"
        )
        return
    status, headers, body = await server.send(name, call)
    assert status == 200
    voice.hear(headers, body)
    late = await server.send(name, voice.say("2"))
    assert late[0] == 200
    assert voice.hear(late[1], late[2]).ends


@pytest.mark.parametrize("name", NAMES)
async def test_requests_that_no_gateway_sends_are_refused_with_a_word(server: Server, line: str, name: str) -> None:
    for label, call in broken(server.session(name).dial()):
        status, _, body = await server.send(name, call)
        assert 400 <= status < 500, label
        assert body, label


async def test_a_redial_without_session_id_is_another_session(
    server: Server, engine: Engine, line: str, vouchers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were it the same one, the second recharge would have the first one's key, and its answer."""
    monkeypatch.setattr("channels.pointers.SAME_SECONDS", 0.01)
    for number, voucher in enumerate(vouchers[:2], 1):
        for text, first in ((f"*123*{voucher}#", True), ("1", False)):
            hop = {"USERID": "N", "MSISDN": MSISDN[1:], "USERDATA": text, "MSGTYPE": first, "NETWORK": "MTN"}
            response = await server.client.post("/ussd/nalo", json=hop)
            answer = await response.json()
            assert answer["MSGTYPE"] is first
        assert await money(engine) == FACE_VALUE * number
        await asyncio.sleep(0.02)


async def test_hops_that_name_only_the_session_find_their_number(
    server: Server, engine: Engine, line: str, vouchers: list[str]
) -> None:
    base = "/ussd/infobip/session/s-77"
    await server.client.put(f"{base}/start", json={"msisdn": MSISDN[1:], "text": f"*123*{vouchers[0]}#"})
    response = await server.client.put(f"{base}/response", json={"text": "1"})
    assert (await response.json())["shouldClose"] is True
    assert await money(engine) == FACE_VALUE


async def test_infobips_status_says_whether_the_session_is_known(server: Server, line: str) -> None:
    base = "/ussd/infobip/session/s-78"
    assert (await (await server.client.get(f"{base}/status")).json())["sessionActive"] is False
    await server.client.post(f"{base}/start", json={"msisdn": MSISDN[1:], "text": "*123#"})
    assert (await (await server.client.get(f"{base}/status")).json())["sessionActive"] is True
    await server.client.post(f"{base}/end", json={"exitCode": 200, "reason": ""})
    assert (await (await server.client.get(f"{base}/status")).json())["sessionActive"] is False


async def test_no_number_is_stored_in_clear(server: Server, line: str, redis_client: Redis) -> None:
    for name in NAMES:
        voice = server.session(name)
        await server.hear(name, voice, voice.dial())
        await server.hear(name, voice, voice.say("2"))
    kept = b""
    for key in await redis_client.keys("*"):
        kind = await redis_client.type(key)
        value = await (redis_client.hgetall(key) if kind == b"hash" else redis_client.get(key))
        kept += key + repr(value).encode()
    assert MSISDN[1:].encode() not in kept
    assert b"pointer:" in kept


async def test_an_answer_that_cannot_be_handed_over_is_a_502_and_the_retry_gets_it_again(
    talk: Talk, redis_client: Redis, keyring: Keyring, line: str
) -> None:
    taken: list[dict[str, object]] = []
    down = True

    async def take(request: web.Request) -> web.Response:
        if down:
            return web.Response(status=503)
        taken.append(await request.json())
        return web.json_response({"result": {"message_id": "1"}}, status=201)

    api = web.Application()
    api.router.add_post("/channels/{channel}/messages/", take)
    async with TestServer(api) as junebug:
        adapter = load("junebug")("junebug", "123", {"url": str(junebug.make_url("/"))})
        application = web.Application()
        pointers = Pointers(redis_client, keyring)
        application.add_routes(routes([Door(name="junebug", adapter=adapter)], talk(), pointers, Metrics()))
        async with TestClient(TestServer(application)) as client:
            call = load_voice("junebug", {})("s1", MSISDN, "123").dial()
            assert (await client.post("/ussd/junebug", data=call.body)).status == 502
            down = False
            assert (await client.post("/ussd/junebug", data=call.body)).status == 200
            again = await client.post("/ussd/junebug", data=call.body)
            assert json.loads(await again.read()) == taken[0] == taken[1]
        await adapter.close()
