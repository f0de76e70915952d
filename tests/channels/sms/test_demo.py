"""The demo as people try it: signed webhooks posted at it, answered by TwiML or on the simulator's phone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runtime.embedded.process import free_port
from tests.doubles import africastalking, twilio

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def demo(state_dir: Path) -> AsyncIterator[dict[str, Any]]:
    """What a running demo says of itself."""
    command = [sys.executable, "manage.py", "demo", "--json", "--port", str(free_port()), "--state", str(state_dir)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(100):
            said = await process.stdout.readline()
        yield json.loads(said)
    finally:
        process.terminate()
        await process.communicate()


async def on_the_phone(http: aiohttp.ClientSession, demo: dict[str, Any], msisdn: str, words: str) -> str:
    """Wait for a text with ``words`` in the simulator's inbox."""
    async with asyncio.timeout(20), http.get(f"{demo['base_url']}/simulator/inbox", params={"msisdn": msisdn}) as inbox:
        async for line in inbox.content:
            said = line.decode()
            if said.startswith("data: {") and words in json.loads(said[6:])["text"]:
                return said
    raise AssertionError("the inbox ended")


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
