"""Published codes: ways of option ids, which menus may change around but not break."""

from __future__ import annotations

from typing import Any

import pytest

from dialogs.catalogue import declared
from dialogs.check import check_operator
from dialogs.shortcuts import RECOVERY_DIGITS, Dialled, dialled, followed, shortcut_faults
from dialogs.words import Menu
from engine.dialogs.places import CODE_DIGITS
from settings import Operator
from tests.dialogs.conftest import Calling
from tests.dialogs.test_check import fits

HOME = "main_menu.home"


def published(operator: Operator, **codes: list[str]) -> Operator:
    """The operator with other codes: ``c21`` is code 21."""
    ways = {name[1:].replace("_", "*"): tuple(way) for name, way in codes.items()}
    return operator.model_copy(update={"shortcuts": ways})


def faults(operator: Operator) -> list[tuple[str, str]]:
    return list(shortcut_faults(declared(operator), operator, HOME))


def edited(operator: Operator, **rules: Any) -> Operator:
    """The operator after an edit of its menus."""
    return operator.model_copy(update={"dialogs": operator.dialogs.model_copy(update=rules)})


def test_the_longest_code_counts_and_the_rest_is_typed(operator: Operator) -> None:
    codes = published(operator, c5=["bundles"], c5_1=["balance"])
    assert dialled(["5"], codes) == Dialled(way=("bundles",))
    assert dialled(["5", "1", "50"], codes) == Dialled(way=("balance",), typed=("50",))
    assert dialled(["5", "2"], codes) == Dialled(way=("bundles",), typed=("2",))
    assert dialled(["6", "5"], codes) == Dialled(typed=("6", "5"))
    assert dialled([], codes) == Dialled()


def test_a_recovery_code_is_its_prefix_and_four_digits(operator: Operator) -> None:
    assert dialled(["9", "4821"], operator) == Dialled(recovery="4821")
    assert dialled(["9", "4821", "1"], operator) == Dialled(recovery="4821", typed=("1",))
    for other in (["9"], ["9", "482"], ["9", "48211"], ["9", "48a1"], ["8", "4821"], ["9", "٤٨٢١"]):
        assert not dialled(other, operator).recovery
    assert RECOVERY_DIGITS == CODE_DIGITS


def test_the_samples_codes_are_not_broken(operator: Operator) -> None:
    assert operator.shortcuts and faults(operator) == []


def test_an_edit_that_puts_the_menu_in_another_order_breaks_no_code(operator: Operator) -> None:
    assert faults(edited(operator, order={HOME: ("usage", "bundles")})) == []


def test_an_edit_that_takes_an_option_away_is_refused_with_the_code_and_the_option(operator: Operator) -> None:
    gone = operator.model_copy(update={"products": operator.products[1:]})
    ((code, why),) = faults(gone)
    assert code == "21"
    assert "no option data_day_100mb in bundles.list" in why
    problems = [str(one) for one in check_operator(gone, fits)]
    assert any(one.startswith("21: published, but there is no option data_day_100mb") for one in problems)


def test_an_edit_that_leaves_a_dialog_out_is_refused_for_every_code_through_it(operator: Operator) -> None:
    assert [code for code, _ in faults(edited(operator, disabled=("bundles", "offers")))] == ["21", "22"]


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (["bundle"], "no option bundle in main_menu.home"),
        (["recharge", "voucher", "1"], "no option 1 in recharge.number"),
        (["bundles", "data_day_100mb", "yes"], "no option yes in"),
    ],
)
def test_a_way_that_leads_nowhere_is_refused_with_the_screen(operator: Operator, way: list[str], why: str) -> None:
    ((_, told),) = faults(published(operator, c77=way))
    assert why in told


def test_a_code_that_begins_like_a_recovery_code_is_refused(operator: Operator) -> None:
    ((code, why),) = faults(published(operator, c9_1=["balance"]))
    assert code == "9*1" and "lead back" in why


@pytest.mark.parametrize("code", ["c2", "c2_5", "c0", "c00", "c98"])
def test_a_code_that_begins_like_what_is_typed_at_home_is_refused(operator: Operator, code: str) -> None:
    ((told, why),) = faults(published(operator, **{code: ["balance"]}))
    assert told == code[1:].replace("_", "*")
    assert why.startswith(f"{told.split('*')[0]} means something in {HOME} already")


def test_numbers_up_to_that_of_the_last_option_at_home_are_taken(operator: Operator) -> None:
    (home,) = (state for one in declared(operator) for state in one.states if state.name == HOME)
    assert isinstance(home, Menu)
    last = str(len(home.links))
    beyond = published(operator, **{f"c{len(home.links) + 1}": ["balance"]})
    assert faults(beyond) == [], "no option has this number"
    assert [code for code, _ in faults(published(operator, **{f"c{last}": ["balance"]}))] == [last]


async def test_a_way_leads_to_the_same_screen_in_whatever_order_the_menu_is(
    operator: Operator, calling: Calling
) -> None:
    player = await calling()
    context = await player.context()
    for rules in ({}, {"order": {HOME: ("usage", "send", "bundles")}}):
        player.machine.adopt(type(player.machine)(declared(edited(operator, **rules)), player.machine.texts))
        step, ended = await followed(player.machine, ("bundles", "data_week_1gb"), context)
        assert ended and step.screen.state == "bundles.confirm"
        assert step.screen.text.startswith("Buy 1 GB 7 days")


async def test_an_option_that_a_person_does_not_have_ends_the_way_where_it_would_be(
    calling: Calling,
) -> None:
    player = await calling()
    step, ended = await followed(player.machine, ("bundles", "no_such_bundle"), await player.context())
    assert not ended
    assert step.screen.state == "bundles.list"
    assert step.screen.text.startswith("No such choice.")
