"""Dialogs as an operator's file wants them: some left out, options in another order. Pure.

What cannot work (a dialog left out that others lead to) shows in ``dialogs.check``, like any other fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import TypeVar

from configuration.operator import LIVE
from dialogs.translations import forms_fault, source_messages
from dialogs.words import Choose, Data, Dialog, Item, Link, Menu, Say, State, Typed
from settings import DialogRules, Operator

Option = TypeVar("Option", Link, Item)

#: screens whose options stand in the order of the file itself, because keywords name them by it
ORDERED_BY_FILE = {"bundles.list": "[[products]]", "transfer.what": "[[transfers]]"}
#: the dialog that cannot be left out: sessions begin there
HOME = "main_menu"


def edition_of(operator: Operator) -> str:
    """A short name of all that may change in a running operator's file: the same content, the same name."""
    return blake2b(operator.model_dump_json(include={*LIVE}).encode(), digest_size=3).hexdigest()


def rules_of(operator: Operator) -> DialogRules:
    """What an operator wants of its dialogs. What it does not do at all, gifts or advances, nobody is offered."""
    does = {"transfer": operator.policy.transfers and operator.transfers, "advance": operator.advances}
    disabled = (*operator.dialogs.disabled, *(name for name, rules in does.items() if not rules))
    return operator.dialogs.model_copy(update={"disabled": disabled})


def offered(state: str, rules: DialogRules) -> bool:
    """Whether a state belongs to a dialog that people are offered."""
    return state.partition(".")[0] not in rules.disabled


def tailored(dialogs: Sequence[Dialog], rules: DialogRules) -> tuple[Dialog, ...]:
    """The dialogs without those left out, and with their options in the operator's order."""
    if not rules.disabled and not rules.order:
        return tuple(dialogs)
    kept = (dialog for dialog in dialogs if dialog.name not in rules.disabled)
    return tuple(replace(one, states=tuple(_state(state, rules) for state in one.states)) for one in kept)


def _state(state: State, rules: DialogRules) -> State:
    wanted = rules.order.get(state.name, ())
    if isinstance(state, Menu):
        links = _ordered([link for link in state.links if offered(link.to, rules)], wanted)
        if state.links and not links and state.exit is None:
            # Nothing is left to choose: the screen says what it says and ends.
            return Say(
                name=state.name, text=state.text, load=state.load, redirects=state.redirects, samples=state.samples
            )
        return replace(state, links=links, typed=_typed(state.typed, rules))
    if isinstance(state, Choose):
        items, to = state.items, state.to

        def chosen(data: Data) -> tuple[Item, ...]:
            """What the flow offers, less what the operator does not, in the operator's order."""
            return _ordered([item for item in items(data) if offered(item.to or to, rules)], wanted)

        also = tuple(one for one in state.also if offered(one, rules))
        return replace(state, items=chosen, also=also, typed=_typed(state.typed, rules))
    return state


def _typed(typed: tuple[Typed, ...], rules: DialogRules) -> tuple[Typed, ...]:
    return tuple(one for one in typed if all(offered(target, rules) for target in one.leads))


def _ordered(options: list[Option], wanted: tuple[str, ...]) -> tuple[Option, ...]:
    places = {name: place for place, name in enumerate(wanted)}
    return tuple(sorted(options, key=lambda one: places.get(one.id, len(places))))


def tailoring_faults(dialogs: Sequence[Dialog], operator: Operator) -> Iterator[tuple[str, str, str]]:
    """(where, language, what is wrong) for what the operator's file wants of ``dialogs``, which are all there are."""
    rules, names = operator.dialogs, {dialog.name for dialog in dialogs}
    for name in rules.disabled:
        if name == HOME:
            yield "disabled", "", f"{HOME} is where sessions begin"
        elif name not in names:
            yield "disabled", "", f"there is no dialog {name}: there are {', '.join(sorted(names))}"
    states = {state.name: state for dialog in dialogs for state in dialog.states}
    for name, wanted in rules.order.items():
        known = _option_ids(states[name]) if name in states else None
        if known is None:
            yield f"order.{name}", "", "there is no such screen"
        elif name in ORDERED_BY_FILE:
            yield f"order.{name}", "", f"is the order of {ORDERED_BY_FILE[name]}"
        else:
            strange = [one for one in dict.fromkeys(wanted) if one not in known]
            yield from ((f"order.{name}", "", f"has no option {one}: it has {', '.join(known)}") for one in strange)
    yield from _text_faults(operator)


def _option_ids(state: State) -> list[str]:
    if isinstance(state, Menu):
        return [link.id for link in state.links]
    if isinstance(state, Choose):
        return list(dict.fromkeys(item.id for sample in state.samples for item in state.items(sample)))
    return []


def _text_faults(operator: Operator) -> Iterator[tuple[str, str, str]]:
    """Own texts: a language that is spoken, a message that is said, and the same placeholders."""
    if not operator.dialogs.texts:
        return
    plurals = dict(source_messages())
    for language, own in operator.dialogs.texts.items():
        if language not in operator.languages:
            yield "texts", language, "is not among languages"
        for message, said in own.items():
            if message not in plurals:
                yield "texts", language, f"nothing says {message!r}"
                continue
            many = plurals[message]
            if isinstance(said, tuple) != (many is not None):
                yield "texts", language, f"{message!r} takes {'one text' if many is None else 'its plural forms'}"
                continue
            fault = forms_fault(said if isinstance(said, tuple) else (said,), message, many)
            if fault is not None:
                yield "texts", language, fault
