"""A server with three carriers, over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from channels.inbound import Inbound
from channels.sms.africastalking.webhook import Webhook as AfricasTalking
from channels.sms.routes import BODY_LIMIT, Door, routes
from channels.sms.twilio.webhook import Webhook as Twilio
from engine.api import Engine
from runtime.metrics import Metrics
from tests.channels.sms.posting import ACCOUNT, Serve
from tests.channels.texter import TextTalk
from tests.serving import Client, ClientOf


@pytest.fixture
def serve(engine: Engine, texting: TextTalk, client_of: ClientOf) -> Serve:
    """Starts a server with Twilio, WhatsApp and Africa's Talking; keywords go to every ``Door``."""

    async def start(
        metrics: Metrics | None = None, public_url: str = "", engine: Engine = engine, **door: Any
    ) -> Client:
        doors = [
            Door(name="twilio", webhook=Twilio("twilio", ACCOUNT), **door),
            Door(name="whatsapp", webhook=Twilio("whatsapp", ACCOUNT, channel="whatsapp"), **door),
            Door(
                name="africastalking",
                webhook=AfricasTalking("africastalking", {"username": "rasid", "api_key": "k"}),
                **door,
            ),
        ]
        application = web.Application(client_max_size=BODY_LIMIT)
        inbound = Inbound(engine, texting(engine=engine))
        application.add_routes(routes(doors, inbound, metrics or Metrics(), public_url))
        return await client_of(application)

    return start
