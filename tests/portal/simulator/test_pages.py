from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from channels.sms.simulator.carrier import inbox
from settings import Settings
from tests.portal.simulator.conftest import Running, serving

# The fixture ``server`` is shared with the tests in a browser, and so is its loop.
pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBER = "+254712345001"
OTHER = "+254712345002"


async def events(response: aiohttp.ClientResponse, count: int) -> list[tuple[str, str]]:
    """The next so many texts of a stream: id and text."""
    found: list[tuple[str, str]] = []
    event_id = ""
    async for line in response.content:
        name, _, value = line.decode().strip().partition(": ")
        if name == "id":
            event_id = value
        elif name == "data" and value:
            found.append((event_id, json.loads(value)["text"]))
            if len(found) == count:
                break
    return found


async def put(server: Running, text: str, number: str = NUMBER) -> None:
    stored = {"message_id": text, "from": "Rasid", "text": text, "at": "2026-11-21T10:00:00+00:00"}
    await server.services.redis.xadd(inbox(server.services.keyring, number), stored)


async def test_nothing_answers_under_simulator_unless_it_is_switched_on(settings: Settings) -> None:
    off = settings.model_copy(update={"simulator": False})
    async with serving(off) as (url, _), aiohttp.ClientSession() as http:
        for path in ("", "/static/main.js", "/vouchers", "/inbox?msisdn=%2B254712345001", "/trace/x"):
            async with http.get(f"{url}/simulator{path}") as response:
                assert response.status == 404, path


async def test_the_page_allows_own_files_only_and_is_not_cached(server: Running) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/simulator") as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_an_inbox_that_reconnects_goes_on_after_the_last_text_it_saw(server: Running) -> None:
    await put(server, "first")
    await put(server, "second")
    async with aiohttp.ClientSession() as http:
        url, query = f"{server.url}/simulator/inbox", {"msisdn": NUMBER}
        async with http.get(url, params=query) as stream:
            (seen, _), (_, second) = await events(stream, 2)
            assert second == "second"
        async with http.get(url, params=query, headers={"Last-Event-ID": seen}) as stream:
            assert [text for _, text in await events(stream, 1)] == ["second"]


async def test_an_inbox_shows_no_texts_of_another_number(server: Running) -> None:
    await put(server, "not yours")
    async with aiohttp.ClientSession() as http:
        url = f"{server.url}/simulator/inbox"
        async with (
            http.get(url, params={"msisdn": OTHER}) as other,
            http.get(url, params={"msisdn": NUMBER}) as own,
        ):
            assert [text for _, text in await events(own, 1)] == ["not yours"]
            await put(server, "yours", OTHER)
            assert [text for _, text in await events(other, 1)] == ["yours"]


async def test_an_inbox_of_no_number_or_after_no_text_is_refused(server: Running) -> None:
    refused = [({"msisdn": number}, {}) for number in ("", "hello", "+2547", "<script>")]
    refused.append(({"msisdn": NUMBER}, {"Last-Event-ID": "0 BLOCK"}))
    async with aiohttp.ClientSession() as http:
        for query, headers in refused:
            async with http.get(f"{server.url}/simulator/inbox", params=query, headers=headers) as response:
                assert response.status == 400, (query, headers)


async def test_an_open_inbox_ends_when_the_server_stops(settings: Settings) -> None:
    async with aiohttp.ClientSession() as http:
        async with serving(settings) as (url, runner):
            stream = await http.get(f"{url}/simulator/inbox", params={"msisdn": NUMBER})
            await stream.content.readline()
            # Far below the minute for which the server would wait for an open response.
            async with asyncio.timeout(20):
                await runner.cleanup()
                await stream.content.read()
        assert stream.content.at_eof()
