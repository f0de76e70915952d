"""What cannot be done: a page for people, problem details for programs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from redis.exceptions import ConnectionError as RedisDown
from structlog.testing import capture_logs

from dialogs.values import Text
from engine.words import EngineUnavailable
from portal.base.faults import faults
from tests.portal.selfcare.conftest import Caller, Running, calling
from tests.serving import serving

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def show(_request: web.Request, status: int, heading: Text, sentence: Text) -> web.Response:
    return web.Response(text=f"<h1>{heading.message}</h1>{sentence.message}", status=status, content_type="text/html")


async def fail(request: web.Request) -> web.Response:
    raise {
        "redis": RedisDown("away"),
        "books": EngineUnavailable("away"),
        "bug": ZeroDivisionError("0712345001"),
        "large": web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2),
    }[request.match_info["what"]]


async def half(request: web.Request) -> web.StreamResponse:
    """Fails in the middle of a file."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"time,kind\r\n")
    return await fail(request)


async def read(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


@pytest_asyncio.fixture(loop_scope="session")
async def failing() -> AsyncIterator[str]:
    """A server on which everything fails."""
    app = web.Application(middlewares=[faults(show)])
    app.add_routes([web.get("/half/{what}", half), web.get("/{what}", fail), web.post("/", read)])
    async with serving(app) as url:
        yield url


@pytest.mark.parametrize(("what", "status"), [("redis", 503), ("books", 503), ("bug", 500), ("large", 413)])
async def test_a_fault_is_told_without_what_caused_it(failing: str, what: str, status: int) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{failing}/{what}", headers={"Accept": "text/html,*/*"}) as answer:
            assert answer.status == status and answer.content_type == "text/html"
            assert "0712345001" not in await answer.text()
            assert ("Retry-After" in answer.headers) == (status == 503)
        async with http.get(f"{failing}/{what}") as answer:
            told = json.loads(await answer.text())
            assert answer.status == told["status"] == status and answer.content_type == "application/problem+json"
            assert "0712345001" not in str(told)


async def test_a_form_that_is_not_compressed_as_it_says_is_the_callers_fault(failing: str) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.post(failing, data=b"zz", headers={"Content-Encoding": "gzip"}) as answer:
            assert answer.status == 400 and answer.headers["Connection"] == "close"


@pytest.mark.parametrize("what", ["redis", "books", "bug", "large"])
async def test_a_file_that_breaks_off_is_seen_to_and_nothing_is_written_behind_it(failing: str, what: str) -> None:
    port = int(failing.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with capture_logs() as logged:
        writer.write(f"GET /half/{what} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n".encode())
        sent = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    # Chunked (RFC 9112 §7.1): what is whole ends with a chunk of no length.
    assert sent.endswith(b"b\r\ntime,kind\r\n\r\n")
    # Nobody is told but the log.
    told = {"redis": "page_unavailable", "books": "page_unavailable", "bug": "page_failed"}.get(what)
    assert [one["event"] for one in logged] == ([told] if told else [])


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("/renewals", {"product": "a\0b", "price": "1"}),
        ("/renewals", {"product": "daily_100mb", "price": "9" * 40}),
        ("/pay", {"way": "mobile_money", "quick": "9" * 40}),
    ],
)
async def test_what_no_page_of_ours_sends_is_refused_and_breaks_nothing(
    caller: Caller, action: str, fields: dict[str, str]
) -> None:
    status, _, page = await caller.send(action, action, **fields)
    assert status == 400 and "<h1>" in page


async def test_a_slash_behind_a_path_leads_to_its_page(caller: Caller, server: Running) -> None:
    for path in ("/portal", "/portal/history", "/simulator"):
        async with caller.http.get(f"{server.url}{path}/?lang=en") as answer:
            assert (answer.status, answer.url.path_qs) == (200, f"{path}?lang=en")
    async with caller.http.get(f"{server.url}/portal//evil.example/", allow_redirects=False) as answer:
        assert answer.status == 404


async def test_a_form_in_no_known_encoding_is_refused(caller: Caller) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=nonsense"}
    async with caller.http.post(f"{caller.base}/portal/sign-in", data=b"number=1", headers=headers) as answer:
        assert answer.status == 400


async def test_a_page_that_does_not_exist_says_so_in_the_persons_language(server: Running) -> None:
    async with calling(server) as one:
        status, page = await one.get("/nothing", **{"Accept-Language": "sw"})
        assert status == 404 and 'lang="sw"' in page and "Haipatikani" in page
        async with one.http.get(f"{server.url}/portal/nothing", headers={"Accept": "*/*"}) as answer:
            assert answer.content_type == "application/problem+json"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        status, page = await one.get("/history?after=x")
        assert status == 400 and "<h1>" in page
