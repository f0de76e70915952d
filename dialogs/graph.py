"""The dialogs as a graph: what can be reached, what ends, and a drawing of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dialogs.words import Ask, Choose, Confirm, Dialog, Menu, MoneyStep, Pay, Resume, Say, State


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


def draw(dialogs: Iterable[Dialog]) -> str:
    """The graph as Mermaid text (``flowchart``): money steps are hexagons, ends are rounded."""
    lines = ["flowchart LR"]
    edges: list[str] = []
    for dialog in dialogs:
        lines.append(f"  subgraph {dialog.name}")
        for state in dialog.states:
            opened, closed = _SHAPES[type(state)]
            lines.append(f'    {_id(state.name)}{opened}"{state.name}"{closed}')
            edges += [f"  {_id(state.name)} -->{label} {_id(target)}" for target, label in _edges(state)]
        lines.append("  end")
    return "\n".join([*lines, *edges, ""])


_SHAPES: dict[type[State], tuple[str, str]] = {
    Menu: ("[", "]"),
    Choose: ("[[", "]]"),
    Ask: ("[/", "/]"),
    Confirm: ("{{", "}}"),
    Pay: ("{{", "}}"),
    Say: ("([", "])"),
    Resume: ("[", "]"),
}


def _id(name: str) -> str:
    return name.replace(".", "__")


def _edges(state: State) -> list[tuple[str, str]]:
    """(target, label), each target once."""
    labels = dict.fromkeys(state.leads(), "")
    if isinstance(state, Menu):
        labels |= {link.to: f"|{number}|" for number, link in enumerate(state.links, 1)}
        labels |= {} if state.exit is None else {state.exit: "|0|"}
    if isinstance(state, MoneyStep):
        labels |= {state.done: "|1 ok|", state.refused: "|1 refused|"}
    return list(labels.items())
