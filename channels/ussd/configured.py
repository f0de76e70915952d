"""The USSD gateways of the settings: their adapters, what the conversation must know of them, what fits on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from channels.conversation import MARGIN_SECONDS
from channels.layout import misfit
from channels.options import WrongOptions
from channels.turn import Budget, Profile
from channels.ussd.adapters import UnknownAdapter, load
from channels.ussd.contract import Adapter, AdapterFactory
from channels.ussd.routes import Door
from dialogs.words import Screen
from settings import GatewaySettings, Operator, Settings, SettingsError


def profiles(gateways: Mapping[str, GatewaySettings]) -> dict[str, Profile]:
    """Gateway's name → what the conversation must know of it. Raises ``SettingsError``."""
    return {name: _profile(name, gateway) for name, gateway in gateways.items()}


def doors(settings: Settings, operator: Operator) -> tuple[Door, ...]:
    """The gateways with their adapters and who may call them. Raises ``SettingsError``."""
    return tuple(
        Door(
            name=name,
            adapter=_made(name, gateway, operator),
            secret=gateway.secret_path,
            allow=gateway.allow,
            proxies=gateway.trusted_proxies,
        )
        for name, gateway in settings.gateways.items()
    )


def fits(known: Mapping[str, Profile]) -> Callable[[Screen, int], Iterable[tuple[str, str]]]:
    """For the check before start: (screen, most pages) → (gateway, reason) wherever the screen does not do."""

    def unfit(screen: Screen, most_pages: int) -> Iterable[tuple[str, str]]:
        for name, profile in known.items():
            reason = misfit(screen, profile.budget, most_pages)
            if reason is not None:
                yield name, reason

    return unfit


def _profile(name: str, gateway: GatewaySettings) -> Profile:
    if gateway.deadline_seconds <= MARGIN_SECONDS:
        reason = f"must be over {MARGIN_SECONDS:g}, which is kept back for sending the answer"
        raise SettingsError("gateways", [(f"gateways.{name}.deadline_seconds", reason)])
    return Profile(
        budget=Budget(septets=gateway.septets, ucs2=gateway.ucs2),
        deadline_seconds=gateway.deadline_seconds,
        session_seconds=_adapter(name, gateway).session_seconds,
    )


def _made(name: str, gateway: GatewaySettings, operator: Operator) -> Adapter:
    try:
        return _adapter(name, gateway)(name, gateway.service_code or operator.service_code, gateway.options)
    except WrongOptions as error:
        where = f"gateways.{name}.options"
        raise SettingsError("gateways", [(f"{where}.{option}", reason) for option, reason in error.problems]) from None


def _adapter(name: str, gateway: GatewaySettings) -> AdapterFactory:
    try:
        return load(gateway.adapter)
    except UnknownAdapter as error:
        reason = f"there is no adapter {error.args[0]!r} under channels/ussd/"
        raise SettingsError("gateways", [(f"gateways.{name}.adapter", reason)]) from None
