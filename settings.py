"""Every setting of Rasid, typed, in one place: the installation's (``Settings``) and the operator's (``Operator``).

A file in TOML is overruled by the environment. What is unknown, wrong or missing is refused at start, all of it in one
message that names each setting.
"""

from __future__ import annotations

import os
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError as UnreadableVariable

from configuration.base import NAME, SettingsError, Strict, problems_of
from configuration.catalogue import (
    LONGEST_NAME,
    Grant,
    LowBalance,
    Notifications,
    PinRules,
    Product,
    TextRules,
    VoucherRules,
)
from configuration.charging import (
    AdvanceRules,
    Category,
    Day,
    FairUse,
    Policy,
    QuotaRules,
    Rate,
    RenewalRules,
    TransferRules,
)
from configuration.dialogs import DialogRules
from configuration.installation import CHAT, MOVABLE_BOOKS, PLAIN, PREFIX, SIMULATOR_ONLY, BookName, Settings
from configuration.operator import LIVE, TEMPLATE_PLACEHOLDERS, Demo, DemoSubscriber, Operator
from configuration.paying import FraudRules, MethodRules, PaymentRules, ReconciliationRules, Velocity
from configuration.people import (
    CarrierSettings,
    ConsoleSettings,
    GatewaySettings,
    PaymentGatewaySettings,
    PortalSettings,
    TelegramSettings,
)
from configuration.sessions import SessionRules
from configuration.staff import StaffRules
from configuration.systems import (
    USAGE_FIELD,
    ApiKeySettings,
    DiameterPeer,
    DiameterSettings,
    Identity,
    RadiusClient,
    RadiusSettings,
    Right,
    UsageFolder,
    WebhookSettings,
)


def load_settings(config: Path | str | None = None) -> Settings:
    """The installation's settings: file (``config``, else ``RASID_CONFIG``, else none) below the environment.

    Raises ``SettingsError``, which the root scripts print without a traceback.
    """
    where, content = _file(config)
    # A table in the environment replaces the file's; left to itself, pydantic-settings would mix the two.
    content = {name: value for name, value in content.items() if PREFIX + name.upper() not in os.environ}
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {PREFIX + "CONFIG"}
    problems = [
        (name, "no such setting") for name in sorted(os.environ) if name.startswith(PREFIX) and name not in known
    ]
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise SettingsError(where, problems + problems_of(error)) from None
    except UnreadableVariable as error:
        raise SettingsError(where, [*problems, ("environment", f"{error}: JSON is meant")]) from None
    if problems:
        raise SettingsError(where, problems)
    return settings


def given_settings() -> frozenset[str]:
    """Names of the installation's settings that somebody gave, in the file or in the environment.

    Raises ``SettingsError``.
    """
    prefixed = {name.removeprefix(PREFIX).lower() for name in os.environ if name.startswith(PREFIX)}
    plain = {field for name, field in PLAIN.items() if os.environ.get(name)}
    return frozenset({*_file(None)[1], *prefixed, *plain})


def _file(config: Path | str | None) -> tuple[str, dict[str, Any]]:
    """What an error calls the settings, and what their file says; nothing where there is none."""
    path = config or os.environ.get(PREFIX + "CONFIG")
    where = f"settings ({path or 'environment'})"
    return where, _read_toml(Path(path), where) if path else {}


def load_operator(path: Path | str) -> Operator:
    """The operator's own file. Raises ``SettingsError``."""
    where = f"operator ({path})"
    content = _read_toml(Path(path), where)
    preset = content.get("policy")
    if isinstance(preset, str):
        content["policy"] = _policy(Path(path).parent, preset, where)
    try:
        return Operator.model_validate(content)
    except ValidationError as error:
        raise SettingsError(where, problems_of(error)) from None
    except SettingsError as error:
        raise SettingsError(where, error.problems) from None


def _policy(folder: Path, name: str, where: str) -> dict[str, Any]:
    if not name.isidentifier():
        raise SettingsError(where, [("policy", "is the name of a file in policies/, without its ending")])
    return {"name": name} | _read_toml(folder / "policies" / f"{name}.toml", where)


def _read_toml(path: Path, where: str) -> dict[str, Any]:
    try:
        # Amounts are integers; should a fraction slip in, it must not pass as a rounded float.
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise SettingsError(where, [(str(path), f"cannot be read: {error.strerror}")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(where, [(str(path), f"is not TOML: {error}")]) from None


__all__ = [
    "CHAT",
    "LIVE",
    "LONGEST_NAME",
    "MOVABLE_BOOKS",
    "NAME",
    "PLAIN",
    "PREFIX",
    "SIMULATOR_ONLY",
    "TEMPLATE_PLACEHOLDERS",
    "USAGE_FIELD",
    "AdvanceRules",
    "ApiKeySettings",
    "BookName",
    "CarrierSettings",
    "Category",
    "ConsoleSettings",
    "Day",
    "Demo",
    "DemoSubscriber",
    "DialogRules",
    "DiameterPeer",
    "DiameterSettings",
    "FairUse",
    "FraudRules",
    "GatewaySettings",
    "Grant",
    "Identity",
    "LowBalance",
    "MethodRules",
    "Notifications",
    "Operator",
    "PaymentGatewaySettings",
    "PaymentRules",
    "PinRules",
    "Policy",
    "PortalSettings",
    "Product",
    "QuotaRules",
    "RadiusClient",
    "RadiusSettings",
    "Rate",
    "ReconciliationRules",
    "RenewalRules",
    "Right",
    "SessionRules",
    "Settings",
    "SettingsError",
    "StaffRules",
    "Strict",
    "TelegramSettings",
    "TextRules",
    "TransferRules",
    "UsageFolder",
    "Velocity",
    "VoucherRules",
    "WebhookSettings",
    "given_settings",
    "load_operator",
    "load_settings",
]
