"""The USSD gateways of the settings: their adapters, what the conversation must know of them, what fits on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from redis.asyncio import Redis

from channels.conversation import MARGIN_SECONDS
from channels.layout import misfit
from channels.turn import Budget, Profile, Reply, Turn
from channels.ussd.adapters import UnknownAdapter, load, shipped
from channels.ussd.contract import AdapterFactory
from channels.ussd.outbound import Outbound, Tools, load as load_outbound
from channels.ussd.routes import Door
from configuration.options import WrongOptions
from dialogs.said import Screen
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import GatewaySettings, Operator, Settings, SettingsError

Made = TypeVar("Made")


def profiles(gateways: Mapping[str, GatewaySettings]) -> dict[str, Profile]:
    """Gateway's name → what the conversation must know of it. Raises ``SettingsError``."""
    return {name: _profile(name, gateway) for name, gateway in gateways.items()}


def doors(settings: Settings, operator: Operator) -> tuple[Door, ...]:
    """The gateways that call us, with their adapters and who may call them. Raises ``SettingsError``."""
    found: list[Door] = []
    for name, gateway in settings.gateways.items():
        factory = _calling(name, gateway)
        if factory is None:
            continue
        code = gateway.service_code or operator.service_code
        door = Door(
            name=name,
            adapter=_made(name, partial(factory, name, code, gateway.options)),
            secret=gateway.secret_path,
            allow=gateway.allow,
            proxies=gateway.trusted_proxies,
        )
        found.append(door)
    return tuple(found)


def outbounds(
    settings: Settings,
    operator: Operator,
    *,
    redis: Redis,
    keyring: Keyring,
    turn: Callable[[Turn], Awaitable[Reply]],
    metrics: Metrics,
) -> dict[str, Outbound]:
    """The gateways that we open connections to, not yet opened. Raises ``SettingsError``."""
    found: dict[str, Outbound] = {}
    for name, gateway in settings.gateways.items():
        factory = load_outbound(gateway.adapter)
        if factory is None:
            continue
        tools = Tools(
            redis=redis,
            keyring=keyring,
            turn=turn,
            ended=partial(_count, metrics, name),
            service_code=gateway.service_code or operator.service_code,
            deadline_seconds=gateway.deadline_seconds,
        )
        found[name] = _made(name, partial(factory, name, gateway.options, tools))
    return found


def _count(metrics: Metrics, name: str, outcome: str) -> None:
    metrics.session_ends.labels(name, outcome).inc()


def fits(known: Mapping[str, Profile]) -> Callable[[Screen, int], Iterable[tuple[str, str]]]:
    """For the check before start: (screen, most pages) → (gateway, reason) wherever the screen does not do."""
    budgets = {profile.budget for profile in known.values()}

    def unfit(screen: Screen, most_pages: int) -> Iterable[tuple[str, str]]:
        """Every gateway that cannot show it, and why."""
        # Many gateways hold the same: a screen is laid out once for each budget.
        reasons = {budget: misfit(screen, budget, most_pages) for budget in budgets}
        for name, profile in known.items():
            reason = reasons[profile.budget]
            if reason is not None:
                yield name, reason

    return unfit


def _profile(name: str, gateway: GatewaySettings) -> Profile:
    if gateway.deadline_seconds <= MARGIN_SECONDS:
        reason = f"must be over {MARGIN_SECONDS:g}, which is kept back for sending the answer"
        raise SettingsError("gateways", [(f"gateways.{name}.deadline_seconds", reason)])
    calling = _calling(name, gateway)
    if calling is None:
        budget = Budget(septets=gateway.septets, ucs2=gateway.ucs2)
    else:
        budget = Budget(septets=min(gateway.septets, calling.most_septets), ucs2=min(gateway.ucs2, calling.most_ucs2))
    if gateway.checkout and (calling is None or not calling.takes_money):
        reason = f"{gateway.adapter} takes no money in its sessions"
        raise SettingsError("gateways", [(f"gateways.{name}.checkout", reason)])
    return Profile(
        budget=budget,
        checkout=gateway.checkout,
        deadline_seconds=gateway.deadline_seconds,
        session_seconds=_session_seconds(calling, gateway),
    )


def _made(name: str, make: Callable[[], Made]) -> Made:
    try:
        return make()
    except WrongOptions as error:
        raise _refused(name, error) from None


def _calling(name: str, gateway: GatewaySettings) -> AdapterFactory | None:
    """The adapter of a gateway that calls us; None where only we connect. Raises ``SettingsError``."""
    try:
        return load(gateway.adapter, gateway.options)
    except UnknownAdapter as error:
        if load_outbound(gateway.adapter) is not None:
            return None
        reason = f"there is no adapter {error.args[0]!r}: the product has {', '.join(shipped())}"
        raise SettingsError("gateways", [(f"gateways.{name}.adapter", reason)]) from None
    except WrongOptions as error:
        raise _refused(name, error) from None


def _refused(name: str, error: WrongOptions) -> SettingsError:
    where = f"gateways.{name}.options"
    return SettingsError("gateways", [(f"{where}.{option}", reason) for option, reason in error.problems])


def _session_seconds(calling: AdapterFactory | None, gateway: GatewaySettings) -> int:
    factory = calling or load_outbound(gateway.adapter)
    return 0 if factory is None else factory.session_seconds
