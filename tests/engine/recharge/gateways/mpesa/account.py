"""A shortcode at M-Pesa, as tests configure it."""

from __future__ import annotations

from typing import Any

from engine.recharge.gateways.mpesa.gateway import Gateway
from engine.recharge.gateways.options import Tools
from tests.engine.recharge.gateways.peers import (
    ACCOUNTS,
    Shop,
    charge,
)

SECRET = "Zq3kV9wXy2mN7pRt"
OPTIONS = {
    "consumer_key": ACCOUNTS.mpesa_consumer_key,
    "consumer_secret": ACCOUNTS.mpesa_consumer_secret,
    "shortcode": ACCOUNTS.mpesa_shortcode,
    "passkey": ACCOUNTS.mpesa_passkey,
    "initiator": "rasid",
    "security_credential": "encrypted",
    "path_secret": SECRET,
}


def made(base_url: str, public_url: str = "https://rasid.example", seconds: float = 5.0, **options: Any) -> Gateway:
    tools = Tools(timeout_seconds=seconds, public_url=public_url)
    return Gateway("mobile-money", {**OPTIONS, "base_url": base_url, **options}, tools)


def pushed(shop: Shop, **given: Any) -> Any:
    return charge(callback_url=f"{shop.url}/payments/mobile-money/callback/own-secret", **given)
