"""The installation: what people reach us by, and pay through."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic.networks import IPvAnyNetwork

from configuration.base import Strict


class GatewaySettings(Strict):
    """One USSD gateway that may call ``POST /ussd/{name}``."""

    #: folder under ``channels/ussd/``
    adapter: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    #: how much a screen holds in GSM 03.38 septets, and in UCS-2 units when a text needs them (3GPP TS 23.038)
    septets: int = Field(default=182, ge=40, le=182)
    ucs2: int = Field(default=80, ge=20, le=80)
    #: a path segment only the gateway knows: ``POST /ussd/{name}/{secret_path}``; empty means none
    secret_path: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$", repr=False)
    #: addresses that may call; empty means all
    allow: tuple[IPvAnyNetwork, ...] = ()
    #: proxies of ours whose ``X-Forwarded-For`` is believed
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    #: what people dial on this gateway, where it is not the operator's own code; without ``*`` and ``#``
    service_code: str = Field(default="", pattern=r"^([0-9]+(\*[0-9]+)*)?$")
    #: what the adapter wants to know; see its ``Options``
    options: dict[str, str | int | bool] = Field(default={}, repr=False)
    #: the gateway gives up after this; the answer leaves before
    deadline_seconds: float = Field(default=8.0, gt=0, le=60)
    #: the payment gateway (``payment_gateways``) that takes money within this gateway's sessions; empty: none
    checkout: str = Field(default="", pattern=r"^([a-z][a-z0-9_-]*)?$")


class CarrierSettings(Strict):
    """One carrier that texts go out through, and that may call ``POST /sms/{name}``."""

    #: folder under ``channels/sms/``
    adapter: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    #: what the adapter wants to know; see its ``Options``
    options: dict[str, str | int | bool] = Field(default={}, repr=False)
    #: what it speaks: ordinary texts, or WhatsApp to the same numbers
    channel: Literal["sms", "whatsapp"] = "sms"
    #: beginnings of the numbers it serves, E.164 with or without ``+``; "" serves all. The longest one that fits wins;
    #: with none at all the carrier brings texts in and takes none out
    prefixes: tuple[Annotated[str, StringConstraints(pattern=r"^\+?[0-9]*$")], ...] = ("",)
    #: of carriers whose prefixes fit equally well the cheapest goes first; any unit
    cost: int = Field(default=0, ge=0)
    #: texts a second, all processes together
    per_second: float = Field(default=20.0, gt=0, le=100_000)
    #: texts on their way at a time from one process; None: enough for ``per_second`` at 200 ms each
    window: int | None = Field(default=None, ge=1, le=10_000)
    #: addresses that may call; empty means all
    allow: tuple[IPvAnyNetwork, ...] = ()
    #: proxies of ours whose ``X-Forwarded-For`` is believed
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    #: a path segment only the carrier knows: ``POST /sms/{name}/{secret_path}``; empty means none
    secret_path: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$", repr=False)


class PaymentGatewaySettings(Strict):
    """One payment gateway, and who may call ``POST /payments/{name}/callback`` for it."""

    #: folder under ``engine/recharge/gateways/``
    adapter: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    #: what the adapter wants to know, its secrets among them; see its ``Options``
    options: dict[str, str | int | bool | tuple[str, ...]] = Field(default={}, repr=False)
    #: what is paid through it; none: all that the adapter serves
    methods: tuple[Literal["mobile_money", "card", "bank"], ...] = ()
    #: beginnings of the payers' numbers that it serves, E.164 with or without ``+``; "" serves all; the longest wins
    prefixes: tuple[Annotated[str, StringConstraints(pattern=r"^\+?[0-9]*$")], ...] = ("",)
    #: of gateways that fit equally well the cheapest goes first; any unit
    cost: int = Field(default=0, ge=0)
    #: seconds for one call; what takes longer is unknown
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    #: a folder that its settlement files are put into, which ``bot.py`` watches; None: none
    statements: Path | None = None
    #: where this gateway reaches us, ``https://host``, if it is not ``public_url``
    callback_base: str = Field(default="", pattern=r"^(https?://[^\s/?#]+)?$")
    #: addresses that may call; empty means all
    allow: tuple[IPvAnyNetwork, ...] = ()
    #: proxies of ours whose ``X-Forwarded-For`` is believed
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()


class TelegramSettings(Strict):
    """The bot that people write to."""

    #: BotFather's token
    token: str = Field(min_length=1, repr=False)
    #: ``polling``: bot.py asks Telegram; ``webhook``: Telegram calls ``POST /telegram/webhook`` of the server
    mode: Literal["polling", "webhook"] = "polling"
    #: what Telegram sends as ``X-Telegram-Bot-Api-Secret-Token`` (Bot API, setWebhook): 1 to 256 of A-Z a-z 0-9 _ -
    secret_token: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,256}$", repr=False)
    #: the Bot API server
    base_url: str = Field(default="https://api.telegram.org", pattern=r"^https?://[^\s]+$")
    #: where that server reaches ours, ``https://host``; empty: at the installation's ``public_url``
    public_url: str = Field(default="", pattern=r"^(https?://[^\s/?#]+)?$")
    #: ``base_url`` is the Bot API server of ``sandbox/bot_api``: the simulator's page shows its chats
    sandbox: bool = False

    @model_validator(mode="after")
    def _webhooks_are_signed(self) -> Self:
        if self.mode == "webhook" and not self.secret_token:
            raise ValueError("a webhook needs a secret_token: anybody could call it")
        return self


class PortalSettings(Strict):
    """The self-care portal at ``/portal``. Its cookies go by https alone where ``public_url`` is https."""

    #: proxies of ours whose ``X-Forwarded-For`` is believed when sign-ins are counted by address
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()


class ConsoleSettings(Strict):
    """The operator's console at ``/console``. Its cookies go by https alone where ``public_url`` is https."""

    #: proxies of ours whose ``X-Forwarded-For`` is believed when sign-ins are counted by address
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    #: minutes without a request after which somebody has to sign in again
    idle_minutes: int = Field(default=15, ge=1, le=480)
    #: hours after which they have to in any case
    longest_hours: int = Field(default=10, ge=1, le=24)
