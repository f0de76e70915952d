"""Presets: what each regulator's file makes of the same account."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.words import Unit
from settings import Operator, SettingsError, load_operator
from tests.engine.rated import RATES
from tests.engine.usage.desk import Desk, group

ROOT = Path(__file__).resolve().parents[3]


def under(tmp_path: Path, policy: str) -> Operator:
    """The sample operator under a preset, as its own file would say it, with rates."""
    folder = tmp_path / "policies"
    folder.mkdir()
    for preset in (ROOT / "examples" / "policies").glob("*.toml"):
        (folder / preset.name).write_text(preset.read_text())
    sample = (ROOT / "examples" / "kenya.toml").read_text()
    own = re.sub(r"^\[policy\]$.*?(?=^# ---)", "", sample, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "operator.toml").write_text(f'policy = "{policy}"\n{own}')
    loaded = load_operator(tmp_path / "operator.toml")
    more = {name: value for name, value in RATES.items() if name != "policy"}
    return Operator.model_validate(loaded.model_dump() | more)


def test_icasa_charges_nothing_outside_a_bundle_without_consent(tmp_path: Path) -> None:
    desk = Desk(under(tmp_path, "icasa"))
    desk.bucket(Unit.MONEY, 1_000)
    for unit, rating_group in ((Unit.OCTETS, 10), (Unit.SECONDS, 1)):
        assert desk.ask("create", group(rating_group, unit=unit))[0].granted is None
    desk.out_of_bundle = True
    assert desk.ask("create", group())[0].granted


def test_icasa_tells_at_half_at_four_fifths_and_at_the_end(tmp_path: Path) -> None:
    desk = Desk(under(tmp_path, "icasa"))
    desk.bucket(Unit.OCTETS, 1_000, product="data_week_1gb")
    for amount in (500, 300, 200):
        desk.charge(amount)
    assert [body["share"] for topic, body in desk.told if topic == "alert.used_share"] == [50, 80, 100]


def test_icasa_lets_bundles_of_more_than_a_week_roll_over_once_and_people_give(tmp_path: Path) -> None:
    policy = under(tmp_path, "icasa").policy
    assert (policy.roll_over_times, policy.roll_over_above_days, policy.transfers) == (1, 7, True)


def test_plain_lets_money_pay_until_the_person_says_no(tmp_path: Path) -> None:
    desk = Desk(under(tmp_path, "plain"))
    desk.bucket(Unit.MONEY, 1_000)
    assert desk.ask("create", group())[0].granted
    desk.out_of_bundle = False
    assert desk.ask("create", group(), session="s2")[0].granted is None


def test_a_postpaid_account_agreed_to_pay_for_what_it_uses(rated: Operator) -> None:
    desk = Desk(rated, postpaid=True)
    desk.bucket(Unit.MONEY, 1_000, product="credit_line")
    assert desk.ask("create", group())[0].granted


@pytest.mark.parametrize("name", ["no_such", "../kenya", ""])
def test_a_preset_that_is_not_there_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError):
        under(tmp_path, name)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rates": [{"code": "x", "unit": "octets", "price": 1, "category": "none"}]}, "rates.x.category"),
        ({"rates": [{"code": "x", "unit": "octets", "price": 1}] * 2}, "rates"),
        ({"categories": [{"code": "a", "rating_groups": [1]}, {"code": "social", "rating_groups": [1]}], "rates": []},
         "rating_groups"),
        ({"categories": [{"code": "a"}], "rates": []}, "products.social_day.grants"),
        ({"rates": [{"code": "x", "unit": "octets", "price": 1, "time_from": "10:00"}]}, "time_from"),
        ({"quota": {"octets": [10, 1]}}, "octets"),
        ({"quota": {"final_unit": "redirect"}}, "redirect_to"),
    ],
)  # fmt: skip
def test_charging_settings_that_contradict_themselves_are_refused_by_name(
    operator: Operator, change: dict[str, object], named: str
) -> None:
    with pytest.raises((SettingsError, ValueError), match=named):
        Operator.model_validate(operator.model_dump() | change)
