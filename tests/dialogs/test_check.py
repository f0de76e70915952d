"""Each kind of broken dialog is refused before start, by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from babel.messages.catalog import Catalog

from channels.layout import misfit
from channels.turn import Budget
from dialogs import check as checking
from dialogs.catalogue import declared
from dialogs.check import SHOWN_MOST, Problem, check, sentences
from dialogs.drawing import mermaid as draw
from dialogs.refusals import SENTENCES
from dialogs.said import Screen
from dialogs.texts import Texts, read_catalogue
from dialogs.translations import message_fault, source_messages
from dialogs.values import text
from dialogs.words import Ask, Choose, Confirm, Context, Data, Dialog, Go, Item, Link, Menu, Say, State, Typed
from engine.words import Code
from settings import Operator

BUDGETS = {"africastalking": Budget(septets=182, ucs2=80)}


def fits(screen: Screen, most_pages: int) -> Iterable[tuple[str, str]]:
    reasons = ((gateway, misfit(screen, budget, most_pages)) for gateway, budget in BUDGETS.items())
    return [(gateway, reason) for gateway, reason in reasons if reason is not None]


async def accept(context: Context, data: Data, typed: str) -> Go:
    return Go("t.end")


async def spend(context: Context, data: Data) -> dict[str, Any]:
    await context.engine.post(data["operation"])
    return {}


END = Say(name="t.end", text=text("Goodbye."))


def home(*links: Link, **more: Any) -> Menu:
    return Menu(name="t.home", text=text("Language:"), links=links or (Link("end", text("Exit"), "t.end"),), **more)


def problems(operator: Operator, *states: State) -> list[Problem]:
    # The codes on its posters lead through dialogs of its own.
    bare = operator.model_copy(update={"shortcuts": {}})
    return check([Dialog(name="t", states=states)], bare, Texts(bare.languages, bare.timezone), fits, "t.home")


def test_a_sound_dialog_has_no_problem(operator: Operator) -> None:
    assert problems(operator, home(), END) == []


@pytest.mark.parametrize("which", ["operator", "qatar"])
def test_the_dialogs_of_the_sample_operators_have_no_problem(which: str, request: pytest.FixtureRequest) -> None:
    sample: Operator = request.getfixturevalue(which)
    assert check(declared(sample), sample, Texts(sample.languages, sample.timezone), fits) == []


@pytest.mark.parametrize("language", ["en", "fr", "sw", "ar", "pt", "ha"])
def test_every_language_fits_both_operators(language: str, operator: Operator, qatar: Operator) -> None:
    for sample in (operator, qatar):
        one = sample.model_copy(update={"languages": (language,)})
        found = check(declared(one), one, Texts(one.languages, one.timezone), fits)
        assert [problem for problem in found if problem.dialog != "catalogue"] == []


@pytest.mark.parametrize(
    ("states", "state", "says"),
    [
        ((home(), END, Say(name="t.alone", text=text("Done."))), "t.alone", "cannot be reached"),
        ((home(Link("a", text("Exit"), "t.gone")), END), "t.home", "leads to t.gone, which is not declared"),
        ((home(Link("a", text("Exit"), "t.home")),), "t.home", "leads to no end"),
        ((home(), END, END), "t.end", "declared twice"),
        (
            (home(Link("a", text("Exit"), "u.end")), Say(name="u.end", text=text("Done."))),
            "u.end",
            "does not begin with t.",
        ),
        ((home(load=spend), END), "t.home", "moves money outside a confirm step"),
        ((home(*[Link("a", text("Exit"), "t.end")] * 2), END), "t.home", "two options of one id"),
        ((home(*[Link(str(n), text("Exit"), "t.end") for n in range(98)]), END), "t.home", "98 is taken"),
    ],
)
def test_a_broken_graph_is_refused(operator: Operator, states: tuple[State, ...], state: str, says: str) -> None:
    first, *_ = problems(operator, *states)
    assert first.state == state
    assert says in first.what


@pytest.mark.parametrize(
    ("shape", "sample", "says"),
    [
        (r"\d", "5", "input 1 is taken"),
        (r"\d+", "12345", "input 0 is taken"),
        (r"9\d", "91", "input 98 is taken"),
        (r"[\d*]{4}", "1234", "takes *"),
        (r"\d{4}", "123", "has not the shape"),
    ],
)
def test_an_input_that_can_be_meant_in_two_ways_is_refused(
    operator: Operator, shape: str, sample: str, says: str
) -> None:
    typed = Typed(shape=shape, sample=sample, accept=accept, leads=("t.end",))
    assert any(one.state == "t.home" and says in one.what for one in problems(operator, home(typed=(typed,)), END))


def test_free_input_alone_on_its_screen_may_be_what_turns_pages_elsewhere(operator: Operator) -> None:
    typed = Typed(shape=r"9\d", sample="91", accept=accept, leads=("t.end",))
    asked = Ask(name="t.ask", text=text("How much?"), typed=typed, wrong=text("Write a whole number."))
    assert problems(operator, home(Link("ask", text("Yes"), "t.ask")), asked, END) == []
    long = replace(asked, text=lambda data: text("{name}", name=data["name"]), samples=({"name": "x" * 183},))
    found = problems(operator, home(Link("ask", text("Yes"), "t.ask")), long, END)
    assert {one.state for one in found} == {"t.ask"} and "takes 2 pages" in found[0].what


def test_money_that_would_move_while_prices_are_read_anew_is_refused(operator: Operator) -> None:
    dialogs = list(declared(operator))
    (bundles,) = [one for one in dialogs if one.name == "bundles"]
    spending = tuple(replace(one, anew=spend) if isinstance(one, Confirm) else one for one in bundles.states)
    dialogs[dialogs.index(bundles)] = Dialog(name="bundles", states=spending)
    found = check(dialogs, operator, Texts(operator.languages, operator.timezone), fits)
    assert [str(one) for one in found] == ["bundles.confirm: moves money outside a confirm step"]


def test_two_short_cuts_of_one_shape_are_refused(operator: Operator) -> None:
    typed = [Typed(shape=shape, sample="12345", accept=accept, leads=("t.end",)) for shape in (r"\d{5}", r"\d{4,6}")]
    assert any("two inputs have one shape" in one.what for one in problems(operator, home(typed=tuple(typed)), END))


def test_a_text_that_is_not_translated_is_refused_with_its_language(operator: Operator) -> None:
    found = problems(operator, home(), replace(END, text=text("Nobody translated this.")))
    assert Problem("t", "t.end", "not translated: 'Nobody translated this.'", "sw") in found


def test_a_money_step_that_is_reached_around_its_pin_gate_is_refused(operator: Operator) -> None:
    dialogs = list(declared(operator))
    (bundles,) = [one for one in dialogs if one.name == "bundles"]
    states = tuple(replace(one, to="bundles.confirm") if isinstance(one, Choose) else one for one in bundles.states)
    dialogs[dialogs.index(bundles)] = Dialog(name="bundles", states=states)
    found = check(dialogs, operator, Texts(operator.languages, operator.timezone), fits)
    said = "bundles.confirm: is entered from bundles.list, which is no PIN gate for a purchase"
    assert [str(one) for one in found] == [said]
    (account,) = [one for one in dialogs if one.name == "account"]
    (menu,) = account.states
    assert isinstance(menu, Menu)
    linked = replace(menu, links=(*menu.links, Link("pin_gate", text("Buy"), "bundles.pin")))
    dialogs[dialogs.index(account)] = Dialog(name="account", states=(linked,))
    found = check(dialogs, operator, Texts(operator.languages, operator.timezone), fits)
    assert [str(one) for one in found] == [
        "bundles.confirm: is entered from bundles.list, which is no PIN gate for a purchase"
    ]


def test_an_end_that_takes_two_pages_is_refused_with_gateway_and_language(operator: Operator) -> None:
    long = Say(name="t.end", text=lambda data: text("{name}", name=data["name"]), samples=({"name": "x" * 183},))
    found = problems(operator, home(), long)
    assert {(one.state, one.language, one.gateway) for one in found} == {
        ("t.end", "en", "africastalking"),
        ("t.end", "sw", "africastalking"),
    }


def test_an_option_longer_than_a_page_is_refused(operator: Operator) -> None:
    def items(data: Data) -> tuple[Item, ...]:
        return (Item("long", text("{name}", name="y" * 200)),)

    choose = Choose(name="t.choose", text=text("Language:"), items=items, keeps="name", to="t.end")
    found = problems(operator, home(Link("a", text("Exit"), "t.choose")), choose, END)
    assert any(one.state == "t.choose" and "longer than a page" in one.what for one in found)


def test_samples_that_lack_what_the_text_needs_are_refused(operator: Operator) -> None:
    found = problems(operator, home(), replace(END, text=lambda data: text("{name}", name=data["name"])))
    assert any(one.state == "t.end" and "cannot be said" in one.what for one in found)


def test_a_code_without_a_sentence_is_refused(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {code: said for code, said in SENTENCES.items() if code is not Code.GRANT_USED}
    monkeypatch.setattr(checking, "SENTENCES", fewer)
    assert Problem("refusals", "grant_used", "has no sentence") in problems(operator, home(), END)


def test_a_product_without_a_name_in_a_language_is_refused(operator: Operator) -> None:
    product = operator.products[0].model_copy(update={"name": {"en": "Only English"}})
    fewer = operator.model_copy(update={"products": (product,)})
    assert Problem("catalogue", product.code, "has no name", "sw") in problems(fewer, home(), END)


def test_placeholders_must_be_the_same_in_a_translation() -> None:
    catalogue = Catalog(locale="fr")
    catalogue.add("Balance: {balance}", "Solde : {solde}")
    catalogue.add(("{count} day", "{count} days"), ("un jour", "{count} jours"))
    assert "['solde'] instead of ['balance']" in (message_fault(catalogue, "Balance: {balance}", None) or "")
    assert message_fault(catalogue, "{count} day", "{count} days") is None
    assert "not translated" in (message_fault(catalogue, "Missing", None) or "")


@pytest.mark.parametrize("language", ["fr", "sw", "ar", "pt", "ha"])
def test_every_message_of_the_source_is_translated_and_no_translation_is_left_over(language: str) -> None:
    catalogue = read_catalogue(language)
    messages = source_messages()
    assert [fault for one in messages if (fault := message_fault(catalogue, *one)) is not None] == []
    known = {message for message, _ in messages}
    kept = {entry.id if isinstance(entry.id, str) else entry.id[0] for entry in catalogue if entry.id}
    assert kept - known == set()


@pytest.mark.parametrize(
    ("language", "reference"),
    [("en", "Ref"), ("fr", "Réf."), ("sw", "Kumb."), ("ar", "مرجع"), ("pt", "Ref"), ("ha", "Ref")],
)
def test_every_result_calls_the_reference_by_one_word(language: str, reference: str) -> None:
    catalogue = Catalog() if language == "en" else read_catalogue(language)
    told = [one for one, plural in source_messages() if plural is None and "{reference}" in one]
    said = [one if language == "en" else str(catalogue[one].string) for one in told]
    assert said
    assert [one for one in said if f"{reference} {{reference}}".lower() not in one.lower()] == []


@pytest.mark.parametrize(("septets", "served"), [(182, False), (160, False), (120, True)])
def test_the_main_menu_is_one_page_unless_the_gateway_is_a_small_one(
    operator: Operator, septets: int, served: bool
) -> None:
    budget = Budget(septets=septets, ucs2=80)

    def on(screen: Screen, most_pages: int) -> Iterable[tuple[str, str]]:
        reason = misfit(screen, budget, most_pages)
        return [] if reason is None else [("one", reason)]

    long = replace(home(), text=text(" ".join(["Balance"] * 26)))
    dialogs = (Dialog(name="t", states=(long, END)),)
    found = [one for one in check(dialogs, operator, Texts.of(operator), on, "t.home") if "pages" in one.what]
    assert (found == []) is served


def test_the_drawing_holds_every_state_and_step(operator: Operator) -> None:
    dialogs = declared(operator)
    drawn = draw(dialogs)
    for dialog in dialogs:
        for state in dialog.states:
            assert f'"{state.name}"' in drawn
            for target in state.leads():
                assert any(
                    line.startswith(f"  {state.name.replace('.', '__')} -->")
                    and line.endswith(target.replace(".", "__"))
                    for line in drawn.splitlines()
                )


def test_what_several_gateways_have_in_common_is_said_once_with_the_screens_beginning(operator: Operator) -> None:
    long = Menu(name="t.home", text=text("x" * 500), links=(Link("end", text("y" * 200), "t.end"),))
    told = sentences(problems(operator, long, END))
    (unfit,) = [one for one in told if one.startswith(f"t.home en {', '.join(BUDGETS)}: does not fit: option '1 yyy")]
    assert unfit.endswith(f"is longer than a page: '{'x' * SHOWN_MOST}…'")
    assert sentences([Problem("t", "t.home", "leads to no end")]) == ["t.home: leads to no end"]
