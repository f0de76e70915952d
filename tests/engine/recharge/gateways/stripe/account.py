"""An account at Stripe, as tests configure it."""

from __future__ import annotations

from typing import Any

from engine.recharge.gateways.contract import (
    Payer,
    SettlementRow,
)
from engine.recharge.gateways.options import Tools
from engine.recharge.gateways.stripe.gateway import Gateway
from tests.engine.recharge.gateways.peers import ACCOUNTS, charge, get_text

NEW_SECRET, OLD_SECRET = ACCOUNTS.stripe_webhook_secret, "whsec_the_one_before"
CARD = Payer(token="cus_1/pm_card_visa")


def made(base_url: str, seconds: float = 5.0, **options: Any) -> Gateway:
    given = {
        "secret_key": ACCOUNTS.stripe_secret_key,
        "webhook_secrets": (NEW_SECRET, OLD_SECRET),
        "base_url": base_url,
        **options,
    }
    return Gateway("stripe", given, Tools(timeout_seconds=seconds))


def by_card(**given: Any) -> Any:
    return charge(**{"payer": CARD, "currency": "USD", "amount": 1250, **given})


async def report(gateway: Gateway) -> list[SettlementRow]:
    text = await get_text(f"{gateway._options.base_url}/report.csv", ACCOUNTS.stripe_secret_key)
    rows = list(gateway.read_settlement(text.splitlines(keepends=True)))
    assert all(isinstance(row, SettlementRow) for row in rows)
    return rows
