"""How carriers post to the server of the tests, and what they read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from xml.etree import ElementTree as ET

from engine.api import Engine
from engine.words import Message
from tests.channels.phone import MSISDN
from tests.doubles import twilio
from tests.serving import Client

Serve = Callable[..., Awaitable[Client]]
ACCOUNT = {"account_sid": twilio.ACCOUNT, "auth_token": twilio.TOKEN}
OTHER = "+254712345679"


async def post_signed(client: Client, path: str, fields: dict[str, Any], sign: Any = twilio.signed) -> tuple[int, str]:
    """As Twilio posts; what it reads."""
    async with client.post(path, data=fields, headers=sign(str(client.make_url(path)), fields)) as response:
        return response.status, await response.text()


async def twiml(client: Client, body: str, sid: str = "SM1", sender: str = MSISDN) -> str | None:
    """Text by Twilio; the answer, None for none."""
    status, answer = await post_signed(client, "/sms/twilio", twilio.text(body, sender, sid))
    assert status == 200
    said = [child.text or "" for child in ET.fromstring(answer)]
    return "\n".join(said) if said else None


async def waiting(engine: Engine) -> list[Message]:
    """What lies in the outbox as answer."""
    return [message for message in await engine.claim_messages(100, 1) if message.topic == "reply"]
