"""The PIN asked for before a money step."""

from __future__ import annotations

from typing import Any

from dialogs.values import text
from dialogs.words import Ask, Context, Data, Go, Purpose, Typed, Wrong
from engine.words import PinVerdict
from settings import Operator

WRONG_PIN = text("Wrong PIN.")
LOCKED = "pin.locked"
#: anything that could be meant as a PIN: what it is worth, the engine says
SHAPE = r"\d{3,10}"


def pin_gate(name: str, purpose: Purpose, to: str, operator: Operator) -> Ask:
    """A state that lets pass at once when the operator does not ask for this purpose, or the line has no PIN."""

    async def load(context: Context, _data: Data) -> dict[str, Any] | Go:
        """Lets pass whom nobody has to ask."""
        asked = purpose in operator.pins.required_for and context.subscriber.has_pin
        return {} if asked else Go(to)

    return Ask(
        name=name,
        text=text("Enter your PIN:"),
        load=load,
        redirects=(to,),
        typed=pin_check(to, {}),
        wrong=WRONG_PIN,
        secret=True,
        guards=purpose,
    )


def pin_check(to: str, data: dict[str, Any]) -> Typed:
    """The PIN of the line as input: only the right one leads ``to``, with ``data``."""

    async def accept(context: Context, _data: Data, typed: str) -> Go | Wrong:
        """The engine compares and counts: the dialog never holds what was typed."""
        verdict = await context.engine.check_pin(context.subscriber, typed)
        if verdict is PinVerdict.RIGHT:
            return Go(to, data)
        return Go(LOCKED, done=True) if verdict is PinVerdict.LOCKED else Wrong(WRONG_PIN)

    return Typed(shape=SHAPE, sample="8888", accept=accept, leads=(to, LOCKED))
