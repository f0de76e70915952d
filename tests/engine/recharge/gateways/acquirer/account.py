"""A contract with a bank, as tests configure it."""

from __future__ import annotations

from typing import Any

from engine.recharge.gateways.acquirer.gateway import Gateway
from engine.recharge.gateways.contract import (
    Payer,
)
from engine.recharge.gateways.options import Tools
from tests.engine.recharge.gateways.peers import charge

OPTIONS = {
    "host": "127.0.0.1",
    "port": 9,
    "acquirer_id": "123456",
    "terminal_id": "RASID001",
    "merchant_id": "OPERATOR",
    "currency": "KES",
    "currency_number": "404",
}
TOKEN = Payer(token="tok_9f3c")


def made(port: int, seconds: float = 5.0, **options: Any) -> Gateway:
    return Gateway("bank", {**OPTIONS, "port": port, **options}, Tools(timeout_seconds=seconds))


def by_token(**given: Any) -> Any:
    return charge(**{"payer": TOKEN, **given})
