"""Published codes: what is dialled behind the service code and leads straight to a screen, ``*123*11*50#``.

A code on a poster outlives the menus. So it stands for a way of option ids, written down in the operator's file, and
not for positions: options may be added and put in another order, and an edit that takes one of them away is refused.
What is dialled beyond the code is typed on the screen that the way leads to. Money is confirmed there as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from dialogs.machine import BACK_KEY, HOME_KEY, MORE_KEY, Machine
from dialogs.steps import Step
from dialogs.typed import fits_shape, option_typed
from dialogs.values import Text, text
from dialogs.words import Choose, Context, Dialog, Menu, MoneyStep, State
from settings import Operator

#: digits behind the recovery prefix (``engine.dialogs.places``)
RECOVERY_DIGITS = 4
#: typed where options are chosen, it is none of them: the screen says so
NO_OPTION = "?"


#: said of a code that leads nowhere any more
CODE_GONE = text("This code is not valid any more.")


def back_line(operator: Operator, code: str, word: str | Text) -> Text:
    """How to come back to a screen: by a code of ``RECOVERY_DIGITS`` digits, or by a word in a text or chat."""
    dial = f"*{operator.service_code}*{operator.sessions.recovery_prefix}*{code}#"
    return text("To continue, dial {code} or text {word}.", code=dial, word=word)


class Dialled(NamedTuple):
    """What was dialled behind the service code, understood."""

    #: ids of options, for a published code
    way: tuple[str, ...] = ()
    #: the digits that lead back to a screen
    recovery: str = ""
    #: what is left to be typed
    typed: tuple[str, ...] = ()


def dialled(segments: Sequence[str], operator: Operator) -> Dialled:
    """The longest published code that what was dialled begins with, or a recovery code, or plain inputs."""
    if len(segments) >= 2 and segments[0] == operator.sessions.recovery_prefix:
        digits = segments[1]
        if len(digits) == RECOVERY_DIGITS and digits.isascii() and digits.isdigit():
            return Dialled(recovery=digits, typed=tuple(segments[2:]))
    for length in range(len(segments), 0, -1):
        way = operator.shortcuts.get("*".join(segments[:length]))
        if way is not None:
            return Dialled(way=way, typed=tuple(segments[length:]))
    return Dialled(typed=tuple(segments))


async def followed(machine: Machine, way: Sequence[str], context: Context) -> tuple[Step, bool]:
    """Where a way leads for this person now, and whether it led to its end.

    An option that they do not have (a bundle no longer on sale, no card saved) ends it on the screen without it.
    """
    step = await machine.open(context)
    for option in way:
        ids = [one.id for one in step.screen.options]
        if option not in ids:
            return await machine.say(step.place, NO_OPTION, context), False
        step = await machine.say(step.place, str(ids.index(option) + 1), context)
    return step, True


def shortcut_faults(dialogs: Sequence[Dialog], operator: Operator, home: str) -> Iterator[tuple[str, str]]:
    """(code, what is wrong) for every published code that these dialogs would break."""
    states = {state.name: state for dialog in dialogs for state in dialog.states}
    for code, way in operator.shortcuts.items():
        first = code.split("*")[0]
        if first == operator.sessions.recovery_prefix:
            yield code, f"{first} begins the codes that lead back to a screen"
        if _means_something(states[home], first):
            yield code, f"{first} means something in {home} already: dialled behind the service code it would not do it"
        fault = _way_fault(states, way, home)
        if fault is not None:
            yield code, fault


def _means_something(home: State, typed: str) -> bool:
    """Whether an input chooses an option at home, or is a key or a number to be typed there."""
    most = max((len(one) for one in _choices(home)), default=0)
    short_cuts = home.typed if isinstance(home, (Menu, Choose)) else ()
    keys = (BACK_KEY, HOME_KEY, MORE_KEY)
    return typed in keys or option_typed(typed, most) is not None or any(fits_shape(one, typed) for one in short_cuts)


def _choices(state: State) -> Iterator[list[tuple[str, str]]]:
    """What can be chosen in a state, as ids with where they lead: for each of its samples."""
    if isinstance(state, Menu):
        yield [(link.id, link.to) for link in state.links]
    if isinstance(state, Choose):
        yield from ([(item.id, item.to or state.to) for item in state.items(sample)] for sample in state.samples)


def _way_fault(states: Mapping[str, State], way: Sequence[str], home: str) -> str | None:
    """Why a way does not lead anywhere, by what the states declare and show with their samples."""
    at = {home}
    for option in way:
        known = {name: _targets(states[name]) for name in at if name in states}
        to = {target for targets in known.values() for target in targets.get(option, ())}
        if not to:
            has = ", ".join(sorted({one for targets in known.values() for one in targets})) or "none"
            return f"published, but there is no option {option} in {' or '.join(sorted(at))}: it has {has}"
        at = to | {redirect for name in to if name in states for redirect in states[name].redirects}
    if all(isinstance(states.get(name), MoneyStep) for name in at):
        return "leads to a money step without its PIN gate"
    return None


def _targets(state: State) -> dict[str, set[str]]:
    """Option id → where it may lead."""
    found: dict[str, set[str]] = {}
    for choices in _choices(state):
        for option, to in choices:
            found.setdefault(option, set()).add(to)
    return found
