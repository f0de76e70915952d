"""How long a way through the dialogs is: screens and seconds, against what a gateway lets a session last. Pure.

Of each end the direct way counts: the fewest seconds from the first screen to it. PIN gates count, as if everybody
were asked. Seconds are those of slow fingers on a keypad, not measured: what was measured, the funnel tells.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from dialogs.machine import Machine
from dialogs.words import Ask, Say, State

#: characters that are read in a second; seconds for choosing and keying one option, for each character of free input,
#: and for one hop through the network and back
READ_A_SECOND, CHOOSE_SECONDS, KEY_SECONDS, HOP_SECONDS = 15.0, 2.0, 0.8, 1.5


class Way(NamedTuple):
    """A way from the first screen to an end."""

    states: tuple[str, ...]
    seconds: float

    @property
    def screens(self) -> int:
        """How many screens are shown on it."""
        return len(self.states)


def screen_seconds(machine: Machine, state: State, language: str) -> float:
    """How long a person is busy with a screen at its longest."""
    said = max((machine.render(state, sample, language) for sample in state.samples), key=lambda one: len(one.text))
    shown = len(said.text) + sum(len(option.label) + 3 for option in said.options)
    if isinstance(state, Say):
        return HOP_SECONDS
    typing = KEY_SECONDS * len(state.typed.sample) if isinstance(state, Ask) else CHOOSE_SECONDS
    return HOP_SECONDS + shown / READ_A_SECOND + typing


def ways(machine: Machine, language: str) -> Iterator[Way]:
    """The direct way to each end."""
    cost = {name: screen_seconds(machine, state, language) for name, state in machine.states.items()}
    best: dict[str, Way] = {}
    waiting: list[tuple[float, tuple[str, ...]]] = [(cost[machine.home], (machine.home,))]
    while waiting:
        seconds, trail = heapq.heappop(waiting)
        name = trail[-1]
        if name in best:
            continue
        best[name] = Way(trail, seconds)
        for target in machine.states[name].leads():
            if target not in best:
                heapq.heappush(waiting, (seconds + cost[target], (*trail, target)))
    yield from (way for name, way in best.items() if isinstance(machine.states[name], Say))


def longest(machine: Machine) -> dict[str, Way]:
    """Language → the longest of the direct ways."""
    return {language: max(ways(machine, language), key=lambda one: one.seconds) for language in machine.texts.languages}


def way_faults(machine: Machine, session_seconds: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    """(language, gateway, what is wrong) where a direct way takes longer than a session may last."""
    for language in machine.texts.languages:
        for way in ways(machine, language):
            for gateway, most in session_seconds.items():
                if most and way.seconds > most:
                    what = f"the way to {way.states[-1]} takes {way.screens} screens and about {way.seconds:.0f} s"
                    yield language, gateway, f"{what}, a session may last {most} s"
