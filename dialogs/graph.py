"""The dialogs as a graph: what can be reached, and what ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dialogs.words import Say, State


def targets_missing(states: Mapping[str, State]) -> Iterator[tuple[str, str]]:
    """(state, target) for every target that is not declared."""
    for state in states.values():
        for target in dict.fromkeys(state.leads()):
            if target not in states:
                yield state.name, target


def reachable(states: Mapping[str, State], home: str) -> set[str]:
    """The states that inputs can lead to, from the first one on."""
    found: set[str] = set()
    waiting = [home]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(states[name].leads())
    return found


def ends_from(states: Mapping[str, State]) -> set[str]:
    """The states from which an end can be reached by going forward."""
    ending = {name for name, state in states.items() if isinstance(state, Say)}
    grew = True
    while grew:
        more = {name for name, state in states.items() if name not in ending and ending.intersection(state.leads())}
        ending |= more
        grew = bool(more)
    return ending


def forward_depths(states: Mapping[str, State], home: str) -> dict[str, int]:
    """State → how many steps it is from ``home``, or from the first state of those that no way from there leads to."""
    depths: dict[str, int] = {}
    for start in (home, *states):
        waiting = [start] if start not in depths else []
        depths.setdefault(start, 0)
        while waiting:
            name, *waiting = waiting
            for target in states[name].leads():
                if target in states and target not in depths:
                    depths[target] = depths[name] + 1
                    waiting.append(target)
    return depths
