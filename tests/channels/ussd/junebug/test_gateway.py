"""Junebug's words as ours and back, and the call that answers a hop."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.turn import Event, Malformed, Reply, Turn
from channels.ussd.contract import Request, Response, Undelivered
from channels.ussd.junebug.gateway import Gateway
from configuration.options import WrongOptions
from tests.channels.ussd.table import holds, request, table

TURN = Turn(
    channel="ussd",
    gateway="junebug",
    session_id="x",
    msisdn="+254712345678",
    text="",
    event=Event.RESUME,
    sequence="m2",
    echo={"channel_id": "c1"},
)
MESSAGE = {"reply_to": "m2", "content": "1 Balance", "channel_data": {"continue_session": True}}


class Junebug:
    """The API that answers come to."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.authorization: list[str | None] = []
        self.status = 201
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        assert request.match_info["channel"] == "c1"
        self.authorization.append(request.headers.get("Authorization"))
        self.messages.append(await request.json())
        result = {"status": self.status, "code": "CREATED", "result": {"message_id": "out-1"}}
        return web.json_response(result, status=self.status)


@pytest.fixture
async def junebug() -> AsyncIterator[Junebug]:
    api = Junebug()
    application = web.Application()
    application.router.add_post("/channels/{channel}/messages/", api.take)
    async with TestServer(application) as server:
        api.url = str(server.make_url("/"))
        yield api


@pytest.mark.parametrize("case", table(Path(__file__).parent / "hops.json"))
def test_a_request_is_read_as_sent_or_refused_by_field_and_reason(case: dict[str, Any]) -> None:
    holds(Gateway("junebug", "123", {}), case, request(case))


async def test_an_answer_is_posted_to_the_hops_channel(junebug: Junebug) -> None:
    options = {
        "url": junebug.url,
        "authorization": "Basic eDp5",
        "event_url": "https://rasid.example/ussd/junebug/events",
    }
    gateway = Gateway("junebug", "123", options)
    try:
        await gateway.send(Reply(text="1 Balance", ends=False), TURN)
        await gateway.send(Reply(text="Bye", ends=True), TURN)
    finally:
        await gateway.close()
    assert junebug.messages[0] == MESSAGE | {"event_url": options["event_url"]}
    assert junebug.messages[1]["channel_data"] == {"continue_session": False}
    assert junebug.authorization == ["Basic eDp5"] * 2


async def test_an_answer_that_is_refused_is_undelivered(junebug: Junebug) -> None:
    junebug.status = 400
    gateway = Gateway("junebug", "123", {"url": junebug.url})
    with pytest.raises(Undelivered, match="http_400"):
        await gateway.send(Reply(text="1 Balance", ends=False), TURN)
    await gateway.close()


async def test_an_answer_that_nobody_takes_is_undelivered() -> None:
    gateway = Gateway("junebug", "123", {"url": "http://127.0.0.1:9"})
    with pytest.raises(Undelivered):
        await gateway.send(Reply(text="1 Balance", ends=False), TURN)
    await gateway.close()


def test_the_hop_itself_is_answered_with_the_message() -> None:
    response = Gateway("junebug", "123", {}).write(Reply(text="1 Balance", ends=False), TURN)
    assert json.loads(response.body) == MESSAGE


@pytest.mark.parametrize(("said", "status"), [("Token s3cret", 200), ("Token other", 401), ("", 401), ("s3cret", 401)])
def test_a_channels_token_is_asked_for(said: str, status: int) -> None:
    gateway = Gateway("junebug", "123", {"token": "s3cret"})
    event = gateway.read_event(Request(b'{"event_type": "submitted"}', headers={"Authorization": said}))
    assert isinstance(event, Response)
    assert event.status == status
    hop = Request(b'{"from": "1"}', headers={"Authorization": said})
    if status == 401:
        read = gateway.read(hop)
        assert isinstance(read, Response)
        assert read.status == 401
    else:
        with pytest.raises(Malformed):
            gateway.read(hop)


def test_a_misspelt_option_is_refused_by_name() -> None:
    with pytest.raises(WrongOptions) as refused:
        Gateway("junebug", "123", {"uri": "http://junebug"})
    assert refused.value.problems[0][0] == "uri"
