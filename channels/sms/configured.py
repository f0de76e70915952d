"""The SMS carriers of the settings: who sends, who calls us, and that their options are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from channels.loading import found
from channels.sms.contract import Carrier, CarrierFactory, Tools, Webhook, WebhookFactory, WrongOptions
from channels.sms.routes import Door
from channels.text_turn import TextProfile, text_profile
from settings import CarrierSettings, Operator, Settings, SettingsError

Made = TypeVar("Made")
#: the folder of the phone on the simulator's page
SIMULATOR = "simulator"


class UnknownAdapter(Exception):
    """The settings name a carrier that has no folder. ``args[0]`` is the name."""


def carriers(settings: Settings, tools: Tools) -> dict[str, Carrier]:
    """Carrier's name → who sends through it, not yet started. Raises ``SettingsError``."""
    return {name: _carrier(name, carrier, tools) for name, carrier in settings.carriers.items()}


def doors(settings: Settings) -> tuple[Door, ...]:
    """The carriers that call us over HTTP, and who may call for them. Raises ``SettingsError``."""
    made = {name: _webhook(name, carrier) for name, carrier in settings.carriers.items()}
    if not settings.simulator:
        # Whoever reaches the simulator's door texts as anybody: it is only there where the phone itself is.
        made = {name: webhook for name, webhook in made.items() if settings.carriers[name].adapter != SIMULATOR}
    return tuple(
        Door(
            name=name,
            webhook=webhook,
            secret=settings.carriers[name].secret_path,
            allow=settings.carriers[name].allow,
            proxies=settings.carriers[name].trusted_proxies,
        )
        for name, webhook in made.items()
        if webhook is not None
    )


def text_profiles(settings: Settings, operator: Operator) -> dict[str, TextProfile]:
    """Carrier's name → what conversations by text must know of it."""
    profile = text_profile(operator.texts.parts, operator.texts.session_minutes)
    return dict.fromkeys(settings.carriers, profile)


def load_carrier(adapter: str) -> CarrierFactory:
    """The class ``Carrier`` of ``channels/sms/<adapter>/carrier.py``. Raises ``UnknownAdapter``."""
    factory: CarrierFactory | None = found(adapter, f"channels.sms.{adapter}.carrier", "Carrier")
    if factory is None:
        raise UnknownAdapter(adapter)
    return factory


def load_webhook(adapter: str) -> WebhookFactory | None:
    """The class ``Webhook`` of ``channels/sms/<adapter>/webhook.py``; None where the carrier never calls us."""
    factory: WebhookFactory | None = found(adapter, f"channels.sms.{adapter}.webhook", "Webhook")
    return factory


def _carrier(name: str, carrier: CarrierSettings, tools: Tools) -> Carrier:
    own = replace(tools, channel=carrier.channel, secret_path=carrier.secret_path)
    return _made(name, carrier, lambda: load_carrier(carrier.adapter)(name, carrier.options, own))


def _webhook(name: str, carrier: CarrierSettings) -> Webhook | None:
    factory = load_webhook(carrier.adapter)
    if factory is None:
        # The server loads no carriers, but a misspelt one must not only show in the other process.
        _made(name, carrier, lambda: load_carrier(carrier.adapter))
        return None
    return _made(name, carrier, lambda: factory(name, carrier.options, channel=carrier.channel))


def _made(name: str, carrier: CarrierSettings, make: Callable[[], Made]) -> Made:
    try:
        return make()
    except WrongOptions as error:
        problems = [(f"carriers.{name}.options.{option}", reason) for option, reason in error.problems]
        raise SettingsError("carriers", problems) from None
    except UnknownAdapter:
        reason = f"there is no adapter {carrier.adapter!r} under channels/sms/"
        raise SettingsError("carriers", [(f"carriers.{name}.adapter", reason)]) from None
