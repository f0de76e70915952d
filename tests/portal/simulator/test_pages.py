from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

import aiohttp
import pytest

from channels.sms.simulator.carrier import inbox
from dialogs.refusals import SENTENCES
from engine.words import Adjust, Code, Recharge, Unit
from portal.base.words import PageTexts
from portal.selfcare.shown import KINDS
from settings import Settings
from tests.portal.simulator.conftest import Running, serving

# The fixture ``server`` is shared with the tests in a browser, and so is its loop.
pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBER = "+254712345001"
OTHER = "+254712345002"


async def events(response: aiohttp.ClientResponse, count: int, name: str = "") -> list[tuple[str, Any]]:
    """The next so many events of this name of a stream: id and content. Texts have no name."""
    found: list[tuple[str, Any]] = []
    event: dict[str, str] = {}
    async for line in response.content:
        field, _, value = line.decode().strip().partition(": ")
        if field:
            event[field] = value
            continue
        if event.get("event", "") == name and event.get("data"):
            found.append((event.get("id", ""), json.loads(event["data"])))
            if len(found) == count:
                break
        event = {}
    return found


def said(found: list[tuple[str, Any]]) -> list[str]:
    return [content["text"] for _, content in found]


async def put(server: Running, text: str, number: str = NUMBER) -> None:
    stored = {"message_id": text, "from": "Rasid", "text": text, "at": "2026-11-21T10:00:00+00:00"}
    await server.services.redis.xadd(inbox(server.services.keyring, number), stored)


async def test_nothing_answers_under_simulator_unless_it_is_switched_on(settings: Settings) -> None:
    off = settings.model_copy(update={"simulator": False})
    async with serving(off) as (url, _), aiohttp.ClientSession() as http:
        for path in ("", "/static/main.js", "/vouchers", "/live?msisdn=%2B254712345001", "/trace/x"):
            async with http.get(f"{url}/simulator{path}") as response:
                assert response.status == 404, path


async def test_the_page_allows_own_files_only_and_is_not_cached(server: Running) -> None:
    async with aiohttp.ClientSession() as http:
        for path in ("", "/nothing"):
            async with http.get(f"{server.url}/simulator{path}") as response:
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert response.headers["Cache-Control"] == "no-store"
                assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_stream_that_reconnects_goes_on_after_the_last_text_it_saw(server: Running) -> None:
    await put(server, "first")
    await put(server, "second")
    async with aiohttp.ClientSession() as http:
        url, query = f"{server.url}/simulator/live", {"msisdn": NUMBER}
        async with http.get(url, params=query) as stream:
            (seen, _), (_, second) = await events(stream, 2)
            assert second["text"] == "second"
        async with http.get(url, params=query, headers={"Last-Event-ID": seen}) as stream:
            assert said(await events(stream, 1)) == ["second"]


async def test_a_stream_shows_no_texts_of_another_number(server: Running) -> None:
    await put(server, "not yours")
    async with aiohttp.ClientSession() as http:
        url = f"{server.url}/simulator/live"
        async with (
            http.get(url, params={"msisdn": OTHER}) as other,
            http.get(url, params={"msisdn": NUMBER}) as own,
        ):
            assert said(await events(own, 1)) == ["not yours"]
            await put(server, "yours", OTHER)
            assert said(await events(other, 1)) == ["yours"]


async def test_what_is_no_number_is_a_line_that_nobody_has_and_others_are_told_as_before(server: Running) -> None:
    query = [("msisdn", one) for one in ("hello", "+2547", NUMBER)]
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/simulator/live", params=query) as stream:
        told = {content["asked"]: content["known"] for _, content in await events(stream, 3, "line")}
    assert told == {"hello": False, "+2547": False, NUMBER: True}


async def test_a_stream_of_no_number_or_after_no_text_is_refused(server: Running) -> None:
    refused: list[tuple[Any, dict[str, str]]] = [({}, {})]
    refused.append(([("msisdn", f"+25471234500{one}") for one in range(5)], {}))
    refused.append(({"msisdn": NUMBER}, {"Last-Event-ID": "0 BLOCK"}))
    async with aiohttp.ClientSession() as http:
        for query, headers in refused:
            async with http.get(f"{server.url}/simulator/live", params=query, headers=headers) as response:
                assert response.status == 400, (query, headers)


async def test_an_open_inbox_ends_when_the_server_stops(settings: Settings) -> None:
    async with aiohttp.ClientSession() as http:
        async with serving(settings) as (url, runner):
            stream = await http.get(f"{url}/simulator/live", params={"msisdn": NUMBER})
            await stream.content.readline()
            # Far below the minute for which the server would wait for an open response.
            async with asyncio.timeout(20):
                await runner.cleanup()
                await stream.content.read()
        assert stream.content.at_eof()


async def test_one_stream_tells_the_texts_of_all_its_phones_and_goes_on_for_each(server: Running) -> None:
    await put(server, "to the first")
    await put(server, "to the second", OTHER)
    query = [("msisdn", NUMBER), ("msisdn", OTHER)]
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{server.url}/simulator/live", params=query) as stream:
            told = await events(stream, 2)
        assert {content["msisdn"]: content["text"] for _, content in told} == {
            NUMBER: "to the first",
            OTHER: "to the second",
        }
        await put(server, "one more", OTHER)
        headers = {"Last-Event-ID": told[-1][0]}
        async with http.get(f"{server.url}/simulator/live", params=query, headers=headers) as stream:
            assert said(await events(stream, 1)) == ["one more"]


async def test_what_a_line_holds_is_told_when_it_changes_and_of_a_strange_number_that_it_is_strange(
    server: Running,
) -> None:
    line = await server.engine.subscriber(NUMBER)
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{server.url}/simulator/live", params=[("msisdn", NUMBER), ("msisdn", "+254700000000")]) as stream,
    ):
        first, strange = [content for _, content in await events(stream, 2, "line")]
        assert (first["money"], first["minor"], first["gauges"]) == ("KES 0.00", 0, [])
        assert strange == {"asked": "+254700000000", "msisdn": "+254700000000", "known": False}
        asked = {"account": line.account, "line_id": line.line_id, "source": "test", "asked_at": datetime.now(UTC)}
        await server.engine.post(
            Adjust(**asked, key=uuid5(line.line_id, "a"), unit=Unit.MONEY, amount=1_250, reason="test")
        )
        assert [content["money"] for _, content in await events(stream, 1, "line")] == ["KES 12.50"]


async def test_the_cards_that_were_used_are_told_apart(server: Running) -> None:
    line = await server.engine.subscriber(NUMBER)
    await server.engine.post(
        Recharge(
            account=line.account,
            line_id=line.line_id,
            key=uuid5(line.line_id, "card"),
            asked_at=datetime.now(UTC),
            source="test",
            voucher=server.engine.vouchers.seal(server.vouchers[1]),
        )
    )
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/simulator/vouchers") as answer:
        cards = {card["pin"]: card["used"] for card in await answer.json()}
    assert cards == {pin: pin == server.vouchers[1] for pin in server.vouchers}


async def test_the_page_speaks_the_language_that_is_asked_for_and_remembers_it(server: Running) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        async with http.get(f"{server.url}/simulator", headers={"Accept-Language": "sw-KE"}) as response:
            assert '<html lang="sw" dir="ltr">' in await response.text()
        for query in ({"language": "ar"}, {}):
            async with http.get(f"{server.url}/simulator", params=query) as response:
                assert '<html lang="ar" dir="rtl">' in await response.text()


async def test_another_site_makes_nobody_pay_and_arranges_nothing(server: Running) -> None:
    async with aiohttp.ClientSession() as http:
        for path in ("payments/script", "prompts/mpesa/x", "uses", "chats/254712345001/messages"):
            headers = {"Sec-Fetch-Site": "cross-site"}
            async with http.post(f"{server.url}/simulator/{path}", json={}, headers=headers) as response:
                assert response.status in {403, 404}, path


async def test_what_was_refused_is_told_in_the_language_of_the_page(server: Running) -> None:
    line = await server.engine.subscriber(NUMBER)
    key = uuid5(line.line_id, "wrong")
    common = {"account": line.account, "line_id": line.line_id, "key": key, "asked_at": datetime.now(UTC)}
    await server.engine.post(Recharge(**common, source="test", voucher=server.engine.vouchers.seal("0" * 14)))
    operation = {"key": str(key), "account": [line.account.shard, str(line.account.account_id)]}
    await server.services.redis.rpush("trace:one", json.dumps({"operations": [operation]}))
    async with aiohttp.ClientSession() as http:
        url, headers = f"{server.url}/simulator/trace/one", {"Accept-Language": "fr"}
        async with http.get(url, headers=headers) as answer:
            ((told,),) = [hop["operations"] for hop in await answer.json()]
    spoken = PageTexts(("fr",), "UTC")
    sentence = SENTENCES[Code.VOUCHER_UNKNOWN]
    assert told["refused"] == spoken.say("fr", sentence) != sentence.message
    assert (told["name"], told["code"]) == (spoken.say("fr", KINDS["recharge"]), "voucher_unknown")
