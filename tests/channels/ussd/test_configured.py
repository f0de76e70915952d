"""Gateways of the settings: what is wrong is refused at start, by the setting's name."""

from __future__ import annotations

from typing import Any

import pytest

from channels.turn import Budget
from channels.ussd.configured import fits, profiles
from dialogs.said import Screen
from settings import GatewaySettings, SettingsError


def refused(**gateway: Any) -> tuple[str, str]:
    with pytest.raises(SettingsError) as error:
        profiles({"gh": GatewaySettings(**gateway)})
    ((name, reason),) = error.value.problems
    return name, reason


def test_an_adapter_that_does_not_exist_is_refused_with_those_that_do() -> None:
    name, reason = refused(adapter="hubtell")
    assert name == "gateways.gh.adapter"
    assert "hubtel," in reason and "arkesel" in reason


def test_a_data_file_that_is_not_there_is_refused_by_its_option() -> None:
    name, reason = refused(adapter="spelled", options={"file": "/nowhere/own.toml"})
    assert name == "gateways.gh.options.file"
    assert "own.toml" in reason


def test_only_a_gateway_that_takes_money_in_its_sessions_can_have_a_checkout() -> None:
    for adapter in ("arkesel", "infobip", "smpp"):
        assert refused(adapter=adapter, checkout="hubtel") == (
            "gateways.gh.checkout",
            f"{adapter} takes no money in its sessions",
        )
    assert profiles({"gh": GatewaySettings(adapter="hubtel", checkout="hubtel")})["gh"].checkout == "hubtel"


@pytest.mark.parametrize(("septets", "most"), [(182, 120), (100, 100)])
def test_the_settings_may_allow_less_than_the_gateway_holds_not_more(septets: int, most: int) -> None:
    profile = profiles({"gh": GatewaySettings(adapter="nalo", septets=septets, ucs2=80)})["gh"]
    assert profile.budget == Budget(septets=most, ucs2=80)


def test_a_screen_that_does_not_fit_is_reported_for_every_gateway_that_holds_as_little() -> None:
    known = profiles(
        {
            "small": GatewaySettings(adapter="hubtel", septets=60),
            "as-small": GatewaySettings(adapter="arkesel", septets=60),
            "large": GatewaySettings(adapter="hubtel", septets=182),
        }
    )
    found = dict(fits(known)(Screen(state="a.b", text="x" * 100, ends=True), 1))
    assert set(found) == {"small", "as-small"}
