"""The sandbox's payment providers, as the settings of a server know them."""

from __future__ import annotations

from sandbox.payments.desk import Accounts
from sandbox.payments.server import PaymentsSandbox
from settings import PaymentGatewaySettings, Settings

#: what both sides know
ACCOUNTS = Accounts()


def paying_at(settings: Settings, sandbox: PaymentsSandbox) -> Settings:
    """With a gateway to the sandbox, which nobody can call back: its provider is asked."""
    options = {
        "base_url": sandbox.base_url,
        "api_key": ACCOUNTS.api_key,
        "webhook_secrets": (ACCOUNTS.webhook_secret,),
    }
    gateway = PaymentGatewaySettings(adapter="sandbox", options=options, callback_base="http://127.0.0.1:9")
    return settings.model_copy(update={"payment_gateways": {"sandbox": gateway}})
