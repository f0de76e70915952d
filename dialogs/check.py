"""The check before start: dialogs that cannot work are refused with dialog, state, language and gateway.

Reachable, ends, fits, confirmed, unambiguous, translated. Everything is worked out of the declarations and their
samples; nothing is asked of the engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType
from typing import Any

import msgspec

from dialogs.catalogue import declared, every
from dialogs.graph import ends_from, reachable, targets_missing
from dialogs.keywords import keyword_faults
from dialogs.machine import BACK_KEY, HOME_KEY, MORE_KEY, Machine
from dialogs.notices import Notices
from dialogs.refusals import NOT_ASKED, SENTENCES
from dialogs.said import Screen
from dialogs.shortcuts import shortcut_faults
from dialogs.tailoring import tailoring_faults
from dialogs.texts import Texts
from dialogs.translations import message_fault, source_messages, translation_faults
from dialogs.words import Ask, Choose, Confirm, Dialog, Menu, MoneyStep, Pay, Say, State, Typed
from engine.words import Code, Refused
from settings import Operator

#: screens that must be read as a whole, and the most pages of those that may be turned
ONE_PAGE, MANY_PAGES = 1, 20
#: a gateway that holds less than these (160 septets, 80 units of UCS-2) may show the main menu on more than one page
SMALLEST = tuple(Screen(state="", text=character * most, ends=True) for character, most in (("x", 160), ("\u0639", 80)))
#: 98 is taken by "more", so a list ends before it
OPTIONS_MOST = 97
#: what of the engine moves money: money steps call it, and nothing else
MOVERS = frozenset({"post", "pay"})
#: characters of a screen that are shown with what is wrong with it
SHOWN_MOST = 60


class Problem(msgspec.Struct, frozen=True):
    """One reason not to start. ``language`` and ``gateway`` are empty where the problem has none."""

    dialog: str
    state: str
    what: str
    language: str = ""
    gateway: str = ""

    def __str__(self) -> str:
        where = " ".join(part for part in (self.state or self.dialog, self.language, self.gateway) if part)
        return f"{where}: {self.what}"


def sentences(problems: Iterable[Problem]) -> list[str]:
    """Problems as people read them: what several gateways have in common is said once."""
    gateways: dict[Problem, list[str]] = {}
    for one in problems:
        gateways.setdefault(msgspec.structs.replace(one, gateway=""), []).append(one.gateway)
    return [str(msgspec.structs.replace(one, gateway=", ".join(named))) for one, named in gateways.items()]


#: (screen, most pages) → (gateway, reason) for every gateway on which the screen does not do
Fits = Callable[[Screen, int], Iterable[tuple[str, str]]]


def check(
    dialogs: Sequence[Dialog], operator: Operator, texts: Texts, fits: Fits, home: str = "main_menu.home"
) -> list[Problem]:
    """Every problem of these dialogs for this operator; none means they may be served."""
    problems = [
        Problem("dialogs", where, what, language)
        for where, language, what in tailoring_faults(every(operator), operator)
    ]
    problems += _graph(dialogs, home)
    if problems:  # a broken graph cannot be rendered
        return problems
    machine = Machine(dialogs, texts, home)
    for dialog in dialogs:
        for state in dialog.states:
            found = (*_confirmed(state, machine.states), *_unambiguous(state, home))
            problems += [Problem(dialog.name, state.name, what) for what in found]
            try:
                problems += _screens(dialog, state, machine, fits)
                problems += _translated(dialog, state, texts)
            except (KeyError, ValueError, TypeError, IndexError) as error:
                problems.append(Problem(dialog.name, state.name, f"cannot be said with its samples: {error!r}"))
    problems += [Problem("refusals", code.value, "has no sentence") for code in Code if code not in SENTENCES]
    problems += [Problem("refusals", code.value, "has no sentence") for code in Refused if code not in NOT_ASKED]
    problems += _named_products(operator)
    problems += [Problem("shortcuts", code, what) for code, what in shortcut_faults(dialogs, operator, home)]
    problems += _notices(operator, texts, fits)
    problems += [Problem("keywords", "", what, language) for language, what in keyword_faults(texts)]
    for message, plural in source_messages():
        for language, catalogue in texts.catalogues.items():
            fault = message_fault(catalogue, message, plural)
            if fault is not None:
                problems.append(Problem("source", "", fault, language))
    return problems


def check_operator(operator: Operator, fits: Fits) -> list[Problem]:
    """Every problem of an operator's dialogs as its file wants them."""
    return check(declared(operator), operator, Texts.of(operator), fits)


def _graph(dialogs: Sequence[Dialog], home: str) -> Iterator[Problem]:
    """Names, targets, reachability and ends."""
    states: dict[str, State] = {}
    for dialog in dialogs:
        for state in dialog.states:
            if state.name in states:
                yield Problem(dialog.name, state.name, "declared twice")
            if not state.name.startswith(f"{dialog.name}."):
                yield Problem(dialog.name, state.name, f"name does not begin with {dialog.name}.")
            states[state.name] = state
    if home not in states:
        yield Problem("", home, "the first state is not declared")
        return
    lost = list(targets_missing(states))
    yield from (Problem(name.split(".")[0], name, f"leads to {target}, which is not declared") for name, target in lost)
    if lost:
        return
    entries = (home, *(name for dialog in dialogs for name in dialog.entries))
    found, ending = set().union(*(reachable(states, name) for name in entries)), ends_from(states)
    for name in states:
        if name not in found:
            yield Problem(name.split(".")[0], name, "cannot be reached")
        if name not in ending:
            yield Problem(name.split(".")[0], name, "leads to no end")


def _confirmed(state: State, states: dict[str, State]) -> Iterator[str]:
    """Money moves in money steps only, behind the gate of their purpose, and is not led back into."""
    if isinstance(state, MoneyStep):
        for other in states.values():
            if state.name in other.leads() and not (isinstance(other, Ask) and other.guards == state.purpose):
                yield f"is entered from {other.name}, which is no PIN gate for a {state.purpose}"
    for function in _functions(state):
        if MOVERS & _names(function.__code__):
            yield "moves money outside a confirm step"


def _functions(state: State) -> list[Any]:
    """The functions a state is declared with."""
    values: list[Any] = [state.load, state.text]
    if isinstance(state, Choose):
        values += [state.items, state.act, state.first]
    if isinstance(state, MoneyStep):
        values += [state.brief, state.anew]
    if isinstance(state, Confirm):
        values += [state.operation, state.result]
    if isinstance(state, Pay):
        values += [state.before, state.result]
    typed = [state.typed] if isinstance(state, Ask) else state.typed if isinstance(state, (Menu, Choose)) else []
    values += [one.accept for one in typed]
    return [value for value in values if hasattr(value, "__code__")]


def _names(code: CodeType) -> set[str]:
    inner = (one for one in code.co_consts if isinstance(one, CodeType))
    return set(code.co_names).union(*(_names(one) for one in inner))


def _unambiguous(state: State, home: str) -> Iterator[str]:
    """No input can be meant in two ways."""
    if isinstance(state, Menu):
        yield from _options([link.id for link in state.links])
        if state.exit is not None and state.name != home:
            yield "has an exit, but 0 leads back from it"
        yield from _typed(state.typed, len(state.links))
    if isinstance(state, Choose):
        for sample in state.samples:
            items = state.items(sample)
            yield from _options([item.id for item in items])
            yield from _typed(state.typed, len(items))
            leads = {"", state.to, *state.also}
            yield from (f"leads to {item.to}, which is not among its targets" for item in items if item.to not in leads)
    if isinstance(state, Ask):
        yield from _typed((state.typed,), 0, pages=False)


def _options(ids: list[str]) -> Iterator[str]:
    if len(ids) > OPTIONS_MOST:
        yield f"has {len(ids)} options: {MORE_KEY} is taken"
    if len(set(ids)) < len(ids):
        yield "has two options of one id"


def _typed(typed: Sequence[Typed], options: int, *, pages: bool = True) -> Iterator[str]:
    """Free input against the navigation keys, the option numbers, the separator and other free input.

    What has no ``pages`` leaves the key that turns them free.
    """
    turning = (MORE_KEY,) if pages else ()
    taken = (BACK_KEY, HOME_KEY, *turning, *(str(number) for number in range(1, options + 1)))
    for place, one in enumerate(typed):
        shape = re.compile(one.shape)
        if shape.fullmatch(one.sample) is None:
            yield f"its sample input {one.sample!r} has not the shape {one.shape}"
        yield from (f"input {key} is taken, but has the shape {one.shape}" for key in taken if shape.fullmatch(key))
        places = range(len(one.sample) + 1)
        if any(shape.fullmatch(f"{one.sample[:at]}*{one.sample[at + cut :]}") for at in places for cut in (0, 1)):
            yield "takes *, which separates inputs"
        for other in typed[place + 1 :]:
            if shape.fullmatch(other.sample) or re.fullmatch(other.shape, one.sample):
                yield f"two inputs have one shape: {one.shape} and {other.shape}"


def _screens(dialog: Dialog, state: State, machine: Machine, fits: Fits) -> Iterator[Problem]:
    """Every sample in every language, on every gateway; the first screen on one page where the gateway is no small one.

    The first sample of the first screen is the usual one: nothing stands in the line's way.
    """
    small = {gateway for screen in SMALLEST for gateway, _ in fits(screen, ONE_PAGE)}
    most = ONE_PAGE if isinstance(state, (Say, MoneyStep, Ask)) else MANY_PAGES
    for language in machine.texts.languages:
        told: set[str] = set()
        for sample in state.samples:
            screen = machine.render(state, sample, language)
            found = [*fits(screen, most)]
            if state.name == machine.home and sample is state.samples[0]:
                found += [one for one in fits(screen, ONE_PAGE) if one[0] not in small]
            for gateway, reason in found:
                if gateway not in told:  # one example is enough
                    told.add(gateway)
                    shown = screen.text if len(screen.text) <= SHOWN_MOST else f"{screen.text[:SHOWN_MOST]}…"
                    yield Problem(dialog.name, state.name, f"does not fit: {reason}: {shown!r}", language, gateway)


def _translated(dialog: Dialog, state: State, texts: Texts) -> Iterator[Problem]:
    for language, what in translation_faults(state, texts):
        yield Problem(dialog.name, state.name, what, language)


def _notices(operator: Operator, texts: Texts, fits: Fits) -> Iterator[Problem]:
    """Notices end a session, so they have one page."""
    notices = Notices(texts, operator)
    for name in notices.names():
        for language in texts.languages:
            for gateway, reason in fits(notices.screen(name, language), ONE_PAGE):
                yield Problem("notices", name, f"does not fit: {reason}", language, gateway)


def _named_products(operator: Operator) -> Iterator[Problem]:
    for product in operator.products:
        for language in operator.languages:
            if not product.name.get(language):
                yield Problem("catalogue", product.code, "has no name", language)
