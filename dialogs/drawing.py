"""Drawings of the dialogs: Mermaid text for documents, SVG with what the screens say. Money steps are marked.

With ``heat`` a screen is the redder the more people leave on it, and says how many and for how long they stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from dialogs.checkout import Till
from dialogs.graph import forward_depths
from dialogs.machine import Machine
from dialogs.words import Ask, Choose, Confirm, Dialog, Menu, MoneyStep, Pay, Resume, Say, State


class Heat(NamedTuple):
    """What people do on a screen."""

    #: how often it was shown
    shown: int
    #: share of sessions that were left on it, 0 to 1
    left: float
    #: seconds until the answer, the median
    seconds: float


_SHAPES: dict[type[State], tuple[str, str]] = {
    Menu: ("[", "]"),
    Choose: ("[[", "]]"),
    Ask: ("[/", "/]"),
    Confirm: ("{{", "}}"),
    Pay: ("{{", "}}"),
    Say: ("([", "])"),
    Till: ("([", "])"),
    Resume: ("[", "]"),
}


def mermaid(dialogs: Iterable[Dialog], heat: Mapping[str, Heat] | None = None) -> str:
    """The graph as Mermaid text (``flowchart``): money steps are thick hexagons, ends are rounded."""
    lines = ["flowchart LR", "  classDef money stroke:#b45309,stroke-width:3px", "  classDef left fill:#fecaca"]
    edges: list[str] = []
    for dialog in dialogs:
        lines.append(f"  subgraph {dialog.name}")
        for state in dialog.states:
            opened, closed = _SHAPES[type(state)]
            known = (heat or {}).get(state.name)
            told = "" if known is None else f"<br/>{_heat(known)}"
            marked = ":::money" if isinstance(state, MoneyStep) else ":::left" if known and known.left >= 0.2 else ""
            lines.append(f'    {_id(state.name)}{opened}"{state.name}{told}"{closed}{marked}')
            edges += [
                f"  {_id(state.name)} -->{f'|{label}|' if label else ''} {_id(target)}"
                for target, label in _edges(state).items()
            ]
        lines.append("  end")
    return "\n".join([*lines, *edges, ""])


def _id(name: str) -> str:
    return name.replace(".", "__")


def _heat(known: Heat) -> str:
    return f"{known.shown} shown, {known.left:.0%} leave, {known.seconds:.0f} s"


def _edges(state: State) -> dict[str, str]:
    """Target → label, each target once."""
    labels = dict.fromkeys(state.leads(), "")
    if isinstance(state, Menu):
        labels |= {link.to: str(number) for number, link in enumerate(state.links, 1)}
        labels |= {} if state.exit is None else {state.exit: "0"}
    if isinstance(state, MoneyStep):
        labels |= {state.done: "1 ok", state.refused: "1 refused"}
    return labels


# -- SVG --

#: pixels: a card, the room between cards, a line of text
WIDTH, GAP_X, GAP_Y, LINE, PAD = 210, 70, 22, 15, 8
#: characters of a line, and lines of a text, that a card shows
ACROSS, DOWN = 28, 4

STYLE = """
text { font: 11px ui-monospace, monospace; fill: #1f2937 }
.name { font: bold 11px system-ui, sans-serif }
.heat { font: 10px system-ui, sans-serif; fill: #450a0a }
.edge { fill: none; stroke: #94a3b8; stroke-width: 1.2 }
.back { stroke-dasharray: 3 3; stroke: #cbd5e1 }
.label { font: 10px system-ui, sans-serif; fill: #475569 }
rect { stroke: #64748b; fill: #fff }
.ends rect { fill: #f1f5f9 }
.money rect { stroke: #b45309; stroke-width: 3 }
""".strip()

SVG = "http://www.w3.org/2000/svg"
#: the tip of an edge
TIP = (
    '<defs><marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
    '<path d="M0 0L6 3L0 6z" fill="#94a3b8"/></marker></defs>'
)


class _Card(NamedTuple):
    """One screen on the drawing."""

    state: State
    x: int
    y: int
    lines: tuple[str, ...]
    heat: Heat | None

    @property
    def height(self) -> int:
        """Pixels."""
        return PAD * 2 + LINE * (1 + len(self.lines) + (self.heat is not None))


def svg(machine: Machine, dialogs: Sequence[Dialog], language: str, heat: Mapping[str, Heat] | None = None) -> str:
    """``dialogs`` of a machine as one SVG, said in ``language`` with the samples of each screen."""
    cards = _cards(machine, dialogs, language, heat or {})
    width = max(card.x for card in cards.values()) + WIDTH + PAD
    height = max(card.y + card.height for card in cards.values()) + PAD
    edges = [
        _edge(card, cards[target], label)
        for state, card in cards.items()
        for target, label in _edges(card.state).items()
        if target in cards and target != state
    ]
    return "\n".join(
        [
            f'<svg xmlns="{SVG}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
            f"<style>{STYLE}</style>",
            TIP,
            *edges,
            *(_drawn(card) for card in cards.values()),
            "</svg>",
            "",
        ]
    )


def _cards(machine: Machine, dialogs: Sequence[Dialog], language: str, heat: Mapping[str, Heat]) -> dict[str, _Card]:
    """Columns by how far a screen is from where the drawing begins, rows in the order of the declaration."""
    states = {state.name: state for dialog in dialogs for state in dialog.states}
    start = machine.home if machine.home in states else next(iter(states))
    depths = forward_depths(states, start)
    bottoms: dict[int, int] = {}
    cards: dict[str, _Card] = {}
    for name, state in states.items():
        column = depths.get(name, 0)
        lines = _lines(machine, state, language)
        card = _Card(state, PAD + column * (WIDTH + GAP_X), bottoms.get(column, PAD), lines, heat.get(name))
        bottoms[column] = card.y + card.height + GAP_Y
        cards[name] = card
    return cards


def _lines(machine: Machine, state: State, language: str) -> tuple[str, ...]:
    screen = machine.render(state, state.samples[0], language)
    said = [_cut(line) for line in screen.text.split("\n")[:DOWN]]
    options = [f"{number} {option.label}" for number, option in screen.numbered()]
    shown = options if len(options) <= DOWN * 2 else [*options[: DOWN * 2 - 1], "…"]
    return (*said, *(_cut(option) for option in shown))


def _cut(line: str) -> str:
    return line if len(line) <= ACROSS else f"{line[: ACROSS - 1]}…"


def _edge(one: _Card, other: _Card, label: str) -> str:
    forward = other.x > one.x
    x1, y1 = one.x + WIDTH, one.y + one.height // 2
    x2, y2 = other.x if forward else other.x + WIDTH, other.y + PAD + LINE // 2
    bend = GAP_X if forward else GAP_X * 0.8
    pull = x2 - bend if forward else x2 + bend
    path = f'<path class="edge{"" if forward else " back"}" marker-end="url(#tip)" '
    path += f'd="M{x1} {y1}C{x1 + bend:g} {y1} {pull:g} {y2} {x2} {y2}"/>'
    anchor = f'x="{x2 - 8}" text-anchor="end"' if forward else f'x="{x2 + 8}"'
    return path + (f'<text class="label" {anchor} y="{y2 - 3}">{escape(label)}</text>' if label else "")


def _drawn(card: _Card) -> str:
    kind = "money" if isinstance(card.state, MoneyStep) else "ends" if isinstance(card.state, Say) else "screen"
    # The more leave, the redder; white where nobody is known to.
    fill = "" if card.heat is None else f' style="fill:hsl(0 80% {100 - round(min(card.heat.left, 1.0) * 45)}%)"'
    rows = [f'<text class="name" x="{card.x + PAD}" y="{card.y + PAD + LINE - 4}">{escape(card.state.name)}</text>']
    rows += [
        f'<text x="{card.x + PAD}" y="{card.y + PAD + LINE * (place + 2) - 4}">{escape(line)}</text>'
        for place, line in enumerate(card.lines)
    ]
    if card.heat is not None:
        rows.append(
            f'<text class="heat" x="{card.x + PAD}" y="{card.y + card.height - PAD - 2}">{_heat(card.heat)}</text>'
        )
    box = f'<rect x="{card.x}" y="{card.y}" width="{WIDTH}" height="{card.height}" rx="6"{fill}/>'
    return f'<g class="{kind}" data-state="{card.state.name}">{box}{"".join(rows)}</g>'
