"""What an operator's file may change of the dialogs, and what is refused by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from dialogs.catalogue import declared, machine_of
from dialogs.check import check_operator
from dialogs.keywords import VOUCHER, Beginning, Intent, Keyword, Keywords
from dialogs.said import Screen
from dialogs.tailoring import edition_of
from dialogs.texts import Texts
from dialogs.values import counted, text
from dialogs.words import Menu
from engine.api import Engine
from engine.words import Unit
from settings import DialogRules, Operator
from tests.dialogs.player import Player
from tests.engine.shop import open_line


def anything_fits(screen: Screen, most_pages: int) -> Iterable[tuple[str, str]]:
    return ()


def wanting(operator: Operator, **rules: Any) -> Operator:
    return operator.model_copy(update={"dialogs": DialogRules(**rules)})


def test_a_dialog_left_out_is_in_no_menu_and_leaves_no_fault(operator: Operator) -> None:
    without = wanting(operator, disabled=("advance",))
    assert check_operator(without, anything_fits) == []
    states = {state.name: state for dialog in declared(without) for state in dialog.states}
    home = states["main_menu.home"]
    assert isinstance(home, Menu)
    assert "advance" not in [link.id for link in home.links]
    assert not [name for name in states if name.startswith("advance.")]


def test_what_the_operator_does_not_do_is_in_no_menu_and_its_keyword_leads_to_the_menu(operator: Operator) -> None:
    plain = operator.model_copy(update={"transfers": (), "advances": None})
    assert check_operator(plain, anything_fits) == []
    states = {state.name: state for dialog in declared(plain) for state in dialog.states}
    home = states["main_menu.home"]
    assert isinstance(home, Menu)
    assert {"send", "advance"}.isdisjoint(link.id for link in home.links)
    keywords = Keywords(Texts.of(plain), plain)
    for intent in (Intent.SEND, Intent.UNDO, Intent.ADVANCE):
        assert keywords.beginning(Keyword(intent)) == Beginning("main_menu.home")
    forbidden = operator.model_copy(update={"policy": operator.policy.model_copy(update={"transfers": False})})
    assert "transfer.what" not in machine_of(forbidden).states


def test_options_stand_in_the_operators_order_and_the_others_follow(operator: Operator) -> None:
    machine = machine_of(wanting(operator, order={"main_menu.home": ("usage", "recharge")}))
    home = machine.states["main_menu.home"]
    screen = machine.render(home, home.samples[0], "en")
    assert [option.id for option in screen.options][:4] == ["usage", "recharge", "balance", "bundles"]


def test_texts_are_the_operators_own_in_the_language_that_has_them(operator: Operator) -> None:
    own = {"en": {"Bundles": "Deals"}, "sw": {"A PIN has {count} digit.": ("Tarakimu {count}", "Tarakimu {count} tu")}}
    texts = Texts.of(wanting(operator, texts=own))
    assert texts.say("en", text("Bundles")) == "Deals"
    assert texts.say("sw", text("Bundles")) == "Vifurushi"
    assert texts.say("sw", counted("A PIN has {count} digit.", "A PIN has {count} digits.", 4)) == "Tarakimu 4 tu"
    english = Texts(
        ("en",), operator.timezone, {"en": {"A PIN has {count} digit.": ("{count} digit", "{count} digits")}}
    )
    said = [english.say("en", counted("A PIN has {count} digit.", "A PIN has {count} digits.", n)) for n in (1, 4)]
    assert said == ["1 digit", "4 digits"]


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        ({"disabled": ("main_menu",)}, "where sessions begin"),
        ({"disabled": ("advanse",)}, "there is no dialog advanse"),
        ({"disabled": ("recharge",)}, "recharge.number, which is not declared"),
        ({"disabled": ("account",)}, "cannot be reached"),
        ({"order": {"main_menu.away": ("balance",)}}, "there is no such screen"),
        ({"order": {"main_menu.home": ("balanse",)}}, "has no option balanse"),
        ({"order": {"bundles.list": ("combo_week",)}}, "is the order of [[products]]"),
        ({"texts": {"fr": {"Bundles": "Offres"}}}, "is not among languages"),
        ({"texts": {"en": {"Bundels": "Deals"}}}, "nothing says 'Bundels'"),
        ({"texts": {"en": {"Balance: {balance}": "Balance"}}}, "placeholders [] instead of ['balance']"),
        ({"texts": {"en": {"Balance: {balance}": "{balance} left {"}}}, "a brace that holds no placeholder"),
        ({"texts": {"en": {"Bundles": ("a", "b")}}}, "takes one text"),
        ({"texts": {"en": {"A PIN has {count} digit.": "x"}}}, "takes its plural forms"),
    ],
)
def test_what_cannot_work_is_refused_by_name(operator: Operator, rules: dict[str, Any], what: str) -> None:
    problems = [str(one) for one in check_operator(wanting(operator, **rules), anything_fits)]
    assert any(what in problem for problem in problems), problems


def test_a_keyword_of_a_dialog_left_out_leads_to_the_menu(operator: Operator) -> None:
    without = wanting(operator, disabled=("advance",))
    beginning = Keywords(Texts.of(without), without).beginning(Keyword(Intent.ADVANCE))
    assert beginning is not None and beginning.state == "main_menu.home"


def test_a_voucher_by_keyword_is_taken_where_nobody_pays_by_dialog(operator: Operator) -> None:
    without = wanting(operator, disabled=("pay", "payments"))
    keywords = Keywords(Texts.of(without), without)
    assert keywords.beginning(Keyword(Intent.RECHARGE, ("12345678901234",))) == Beginning(VOUCHER, ("12345678901234",))
    assert keywords.beginning(Keyword(Intent.RECHARGE)) == Beginning("main_menu.home")


def test_an_edition_is_named_by_what_may_change_alone(operator: Operator) -> None:
    assert edition_of(operator) == edition_of(operator.model_copy(update={"sender": "Other"}))
    assert edition_of(operator) != edition_of(wanting(operator, disabled=("advance",)))


async def test_a_session_under_way_is_shown_the_changed_menu_before_an_option_is_taken(
    engine: Engine, operator: Operator
) -> None:
    line = await open_line(engine, 50_000)
    machine = machine_of(operator)
    player = await Player(engine, machine, line.msisdn).dial()
    machine.adopt(machine_of(wanting(operator, order={"main_menu.home": ("advance", "balance")})))
    await player.say("1")
    player.stands_in("main_menu.home").sees("This menu has changed:", "1 Advance")
    await player.say("2")
    player.stands_in("balance.show")


async def test_a_confirmation_under_way_asks_again_after_an_edit_and_moves_money_once(
    engine: Engine, operator: Operator
) -> None:
    line = await open_line(engine, 50_000)
    machine = machine_of(operator)
    player = await Player(engine, machine, line.msisdn).dial()
    await player.say("3", "1")
    player.stands_in("bundles.confirm")
    machine.adopt(machine_of(wanting(operator, disabled=("advance",))))
    await player.say("1")
    player.stands_in("bundles.confirm")
    await player.say("1")
    player.stands_in("bundles.done")
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 48_000


async def test_back_leads_past_a_screen_that_is_declared_no_longer(engine: Engine, operator: Operator) -> None:
    line = await open_line(engine, 50_000)
    machine = machine_of(operator)
    player = await Player(engine, machine, line.msisdn).dial()
    await player.say("1", "2", "1")
    player.stands_in("bundles.confirm")
    fewer = machine_of(operator)
    del fewer.states["bundles.list"]
    machine.adopt(fewer)
    (await player.say("0")).stands_in("balance.show")
    (await player.say("0")).stands_in("main_menu.home")
