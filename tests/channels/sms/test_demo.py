"""The demo as people try it: signed webhooks posted at it, answered by TwiML or on the simulator's phone."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runtime.embedded.process import free_port
from tests.doubles import africastalking, twilio

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def demo() -> Iterator[dict[str, Any]]:
    """What a running demo says of itself: one for all tests here, for its start takes longer than most of them."""
    with tempfile.TemporaryDirectory(prefix="rasid-", ignore_cleanup_errors=True) as state:
        Path(state).chmod(0o711)
        command = [sys.executable, "manage.py", "demo", "--json", "--port", str(free_port()), "--state", state]
        with subprocess.Popen(
            command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                yield json.loads(process.stdout.readline())
            finally:
                process.terminate()


async def on_the_phone(http: aiohttp.ClientSession, demo: dict[str, Any], msisdn: str, words: str) -> str:
    """Wait for a text with ``words`` on the simulator's phone."""
    async with asyncio.timeout(20), http.get(f"{demo['base_url']}/simulator/live", params={"msisdn": msisdn}) as phone:
        async for line in phone.content:
            said = line.decode()
            if said.startswith("data: {") and words in json.loads(said[6:]).get("text", ""):
                return said
    raise AssertionError("the stream ended")


@pytest.mark.timeout(300)  # a whole installation starts and stops
async def test_signed_texts_are_answered_and_others_refused(demo: dict[str, Any]) -> None:
    first, second = (line["msisdn"] for line in demo["subscribers"][:2])
    voucher, token = demo["vouchers"][0]["pin"], demo["webhook_secrets"]["twilio"]
    async with aiohttp.ClientSession() as http:
        url = f"{demo['base_url']}/sms/twilio"
        form = twilio.text(f"RCH {voucher}", first)
        async with http.post(url, data=form, headers=twilio.signed(url, form, token)) as response:
            assert (response.status, response.content_type) == (200, "text/xml")
            assert "<Message>" in await response.text()
        async with http.post(url, data=form, headers=twilio.signed(url, form, "guessed")) as response:
            assert response.status == 403
        url = f"{demo['base_url']}/sms/whatsapp"
        form = twilio.text("BAL", f"whatsapp:{first}", "SM2", To="whatsapp:+14155238886")
        signed = twilio.signed(url, form, demo["webhook_secrets"]["whatsapp"])
        async with http.post(url, data=form, headers=signed) as response:
            assert "<Message>" in await response.text()
        form = africastalking.text("SALIO", second)
        async with http.post(f"{demo['base_url']}/sms/africastalking", data=form) as response:
            assert (response.status, await response.text()) == (200, "OK")
        assert await on_the_phone(http, demo, second, "40.00")


@pytest.mark.timeout(120)  # a command's start is a process of its own
def test_other_commands_work_on_the_running_demo_by_the_file_that_it_names(demo: dict[str, Any]) -> None:
    file = Path(demo["settings_file"])
    assert file.stat().st_mode & 0o777 == 0o600
    environment = {"PATH": os.environ["PATH"], "RASID_CONFIG": str(file), "COLUMNS": "200"}
    msisdn = demo["subscribers"][0]["msisdn"]
    shown = subprocess.run(
        [sys.executable, "manage.py", "line", "show", msisdn],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "active" in shown.stdout


async def test_twilio_signs_for_the_address_that_it_calls_whatever_its_name(demo: dict[str, Any]) -> None:
    first, token = demo["subscribers"][0]["msisdn"], demo["webhook_secrets"]["twilio"]
    async with aiohttp.ClientSession() as http:
        for number, base in enumerate((demo["base_url"], demo["base_url"].replace("127.0.0.1", "localhost"))):
            url, form = f"{base}/sms/twilio", twilio.text("BAL", first, f"SM{number:032}")
            async with http.post(url, data=form, headers=twilio.signed(url, form, token)) as response:
                assert (response.status, "Balance" in await response.text()) == (200, True)
            async with http.post(url, data=form, headers=twilio.signed(f"{url}/x", form, token)) as response:
                assert response.status == 403


CHAT = 5_550_001


def update(number: int, **what: Any) -> dict[str, Any]:
    """An Update as Telegram posts it (Bot API, Update)."""
    person = {"id": CHAT, "is_bot": False, "first_name": "Amina", "language_code": "en"}
    chat = {"id": CHAT, "type": "private", "first_name": "Amina"}
    message = {"message_id": number, "date": 1_790_000_000, "chat": chat, "from": person}
    if "text" in what:
        return {"update_id": number, "message": message | what}
    query = {"id": str(number), "from": person, "chat_instance": "1", "message": message | what["on"]}
    return {"update_id": number, "callback_query": query | {"data": what["data"]}}


class Outsider:
    """Someone who holds nothing but the demo's line of JSON: posts updates, and reads what the bot did."""

    def __init__(self, http: aiohttp.ClientSession, demo: dict[str, Any]) -> None:
        self.http, self.demo, self.number, self.seen = http, demo, 100, 0

    async def post(self, secret: str = "", **what: Any) -> int:
        self.number += 1
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret or self.demo["webhook_secrets"]["telegram"]}
        url = f"{self.demo['base_url']}/telegram/webhook"
        async with self.http.post(url, json=update(self.number, **what), headers=headers) as response:
            return response.status

    async def said(self, method: str, words: str = "") -> dict[str, Any]:
        """The next call of a method that shows ``words``."""
        url = f"{self.demo['bot_api_url']}/sandbox/calls"
        async with asyncio.timeout(20):
            while True:
                query = {"chat_id": str(CHAT), "after": str(self.seen)}
                async with self.http.get(url, params=query) as response:
                    for call in await response.json():
                        if call["method"] == method and words in call["given"].get("text", ""):
                            self.seen = call["number"]
                            return call
                await asyncio.sleep(0.05)


@pytest.mark.timeout(300)
async def test_updates_posted_at_the_webhook_are_answered_at_the_sandboxs_bot_api(demo: dict[str, Any]) -> None:
    line = demo["subscribers"][2]["msisdn"]
    async with aiohttp.ClientSession() as http:
        outsider = Outsider(http, demo)
        assert await outsider.post("guessed", text="/start") == 403
        assert await outsider.post(text="/start") == 200
        await outsider.said("sendMessage", "mobile number")
        assert await outsider.post(text=line) == 200
        await outsider.said("sendMessage", "code")
        code = re.search(r"\b\d{6}\b", await on_the_phone(http, demo, line, "code"))
        assert code is not None
        assert await outsider.post(text=code[0]) == 200
        menu = (await outsider.said("sendMessage", "belongs to your number"))["answer"]["result"]
        (await outsider.said("deleteMessage"))
        button = menu["reply_markup"]["inline_keyboard"][0][0]
        assert await outsider.post(on=menu, data=button["callback_data"]) == 200
        shown = await outsider.said("editMessageText")
        assert shown["given"]["message_id"] in (menu["message_id"], str(menu["message_id"]))


def test_the_line_of_json_says_where_the_bot_api_is(demo: dict[str, Any]) -> None:
    assert demo["bot_api_url"].endswith(f":{demo['ports']['bot_api']}")
    assert re.fullmatch(r"[A-Za-z0-9_-]{16,256}", demo["webhook_secrets"]["telegram"])
