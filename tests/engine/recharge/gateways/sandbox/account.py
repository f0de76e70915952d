"""An account at the sandbox, as tests configure it."""

from __future__ import annotations

from typing import Any

from engine.recharge.gateways.contract import (
    Payer,
)
from engine.recharge.gateways.options import Tools
from engine.recharge.gateways.sandbox.gateway import Gateway
from tests.engine.recharge.gateways.peers import (
    ACCOUNTS,
)

CARD = Payer(token="tok_1")


def made(base_url: str, seconds: float = 5.0, **options: Any) -> Gateway:
    given = {
        "base_url": base_url,
        "api_key": ACCOUNTS.api_key,
        "webhook_secrets": (ACCOUNTS.webhook_secret,),
        **options,
    }
    return Gateway("sandbox", given, Tools(timeout_seconds=seconds))
