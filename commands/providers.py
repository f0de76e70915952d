"""The demo's payment providers: the sandbox's, with secrets of this run."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from commands.announcing import base_url
from sandbox.payments.desk import Accounts
from sandbox.payments.server import PaymentsSandbox
from settings import Settings, load_operator, load_settings

#: the USSD gateway with a checkout of its own, and the payment gateway for it
HUBTEL = "hubtel"
#: ISO 4217, letters → number: what the sandbox's acquiring bank has contracts in
BANK_CURRENCIES = {"KES": "404", "QAR": "634"}


@asynccontextmanager
async def payment_providers(settings: Settings, folder: Path) -> AsyncIterator[Settings]:
    """Providers that run, and the settings with gateways to them, also in the environment.

    What the sandbox remembers is kept in ``folder``, so that payments of an earlier run can still be asked about.
    """
    ours = base_url(settings)
    accounts = Accounts(
        api_key=secrets.token_hex(16),
        webhook_secret=f"whsec_{secrets.token_hex(16)}",
        stripe_secret_key=f"sk_test_{secrets.token_hex(16)}",
        stripe_webhook_secret=f"whsec_{secrets.token_hex(16)}",
        stripe_webhook_url=f"{ours}/payments/stripe/callback",
        hubtel_client_id=secrets.token_hex(8),
        hubtel_client_secret=secrets.token_hex(16),
        hubtel_fulfilment_url=f"{ours}/payments/{HUBTEL}/callback/{secrets.token_hex(16)}",
    )
    server = PaymentsSandbox(accounts=accounts, state=folder / "sandbox-payments.jsonl")
    await server.start()
    currency = load_operator(settings.operator).currency
    os.environ["RASID_PAYMENT_GATEWAYS"] = json.dumps(sandbox_gateways(server, accounts, currency, ours))
    _take_money_at_hubtel()
    try:
        yield load_settings()
    finally:
        await server.stop()


def _take_money_at_hubtel() -> None:
    """Let people who dial at Hubtel pay by its checkout: only now is there a payment gateway for it."""
    gateways = json.loads(os.environ.get("RASID_GATEWAYS", "{}"))
    if gateways.get(HUBTEL, {}).get("adapter") == HUBTEL:
        gateways[HUBTEL].setdefault("checkout", HUBTEL)
        os.environ["RASID_GATEWAYS"] = json.dumps(gateways)


def sandbox_gateways(server: PaymentsSandbox, accounts: Accounts, currency: str, ours: str) -> dict[str, Any]:
    """The settings of gateways to the sandbox's providers, by name; ``ours``: where they call back."""
    native = {
        "base_url": server.base_url,
        "api_key": accounts.api_key,
        "webhook_secrets": [accounts.webhook_secret],
    }
    stripe = {
        "base_url": f"{server.base_url}/stripe",
        "secret_key": accounts.stripe_secret_key,
        "webhook_secrets": [accounts.stripe_webhook_secret],
        "return_url": f"{ours}/portal/paid",
    }
    gateways: dict[str, Any] = {
        "sandbox": {"adapter": "sandbox", "options": native},
        "stripe": {"adapter": "stripe", "options": stripe, "cost": 10},
    }
    if currency == "KES":
        gateways["mpesa"] = {"adapter": "mpesa", "options": _mpesa(server, accounts), "cost": 10}
    if accounts.hubtel_fulfilment_url:
        hubtel = {
            "client_id": accounts.hubtel_client_id,
            "client_secret": accounts.hubtel_client_secret,
            "pos": accounts.hubtel_pos,
            "path_secret": accounts.hubtel_fulfilment_url.rpartition("/")[2],
            "currency": currency,
            "status_url": f"{server.base_url}/hubtel",
            "fulfilment_url": f"{server.base_url}/hubtel/callback",
        }
        gateways[HUBTEL] = {"adapter": HUBTEL, "options": hubtel}
    if currency in BANK_CURRENCIES:
        bank = {
            "host": "127.0.0.1",
            "port": server.acquirer_port,
            "acquirer_id": "100001",
            "terminal_id": "RASID001",
            "merchant_id": "RASID0000000001",
            "currency": currency,
            "currency_number": BANK_CURRENCIES[currency],
        }
        gateways["acquirer"] = {"adapter": "acquirer", "options": bank, "cost": 10}
    return {name: {**given, "callback_base": ours} for name, given in gateways.items()}


def _mpesa(server: PaymentsSandbox, accounts: Accounts) -> dict[str, Any]:
    return {
        "base_url": f"{server.base_url}/mpesa",
        "consumer_key": accounts.mpesa_consumer_key,
        "consumer_secret": accounts.mpesa_consumer_secret,
        "passkey": accounts.mpesa_passkey,
        "shortcode": accounts.mpesa_shortcode,
        "initiator": "demo",
        "security_credential": secrets.token_hex(16),
        "path_secret": secrets.token_hex(16),
    }
