"""The payment gateways of the settings: found by folder, made once, and refused by name where something is wrong."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from configuration.options import WrongOptions
from engine.recharge.gateways.contract import PaymentGateway
from engine.recharge.gateways.offers import AsksInSession
from engine.recharge.gateways.options import GatewayFactory, Tools
from engine.recharge.gateways.routing import GatewayRoute, GatewayRoutes
from engine.words import PaymentMethod
from settings import PaymentGatewaySettings, Settings, SettingsError

PACKAGE = "engine.recharge.gateways"
#: no options of an adapter's but settings beside them: what an adapter says of ``Tools``
BESIDE = frozenset({"methods", "callback_base"})


class UnknownAdapter(Exception):
    """The settings name a gateway that has no folder. ``args[0]`` is the name."""


def payment_gateways(settings: Settings) -> dict[str, PaymentGateway]:
    """Gateway's name → the gateway, not yet started. Raises ``SettingsError``."""
    return {name: _made(name, given, settings.public_url) for name, given in settings.payment_gateways.items()}


def gateway_routes(settings: Settings, gateways: Mapping[str, PaymentGateway]) -> GatewayRoutes:
    """The routes over ``gateways``, by their names in the settings."""
    routes = []
    for name, gateway in gateways.items():
        given = settings.payment_gateways[name]
        prefixes = tuple(prefix.lstrip("+") for prefix in given.prefixes)
        routes.append(
            GatewayRoute(
                name=name,
                methods=gateway.methods,
                cost=given.cost,
                prefixes=prefixes,
                in_session=isinstance(gateway, AsksInSession),
            )
        )
    return GatewayRoutes(routes)


def load_gateway(adapter: str) -> GatewayFactory:
    """The class ``Gateway`` of ``engine/recharge/gateways/<adapter>/gateway.py``. Raises ``UnknownAdapter``."""
    if not adapter.isidentifier():
        raise UnknownAdapter(adapter)
    path = f"{PACKAGE}.{adapter}.gateway"
    try:
        factory: GatewayFactory = importlib.import_module(path).Gateway
    except ModuleNotFoundError as error:
        if error.name is not None and path.startswith(error.name):
            raise UnknownAdapter(adapter) from None
        raise
    return factory


def _made(name: str, given: PaymentGatewaySettings, public_url: str) -> PaymentGateway:
    tools = Tools(
        timeout_seconds=given.timeout_seconds,
        public_url=given.callback_base or public_url,
        methods=frozenset(map(PaymentMethod, given.methods)),
    )
    where = f"payment_gateways.{name}"
    try:
        return load_gateway(given.adapter)(name, given.options, tools)
    except WrongOptions as error:
        problems = [
            (f"{where}.{option}" if option in BESIDE else f"{where}.options.{option}", reason)
            for option, reason in error.problems
        ]
        raise SettingsError("payment gateways", problems) from None
    except UnknownAdapter:
        reason = f"there is no adapter {given.adapter!r} under engine/recharge/gateways/"
        raise SettingsError("payment gateways", [(f"{where}.adapter", reason)]) from None
