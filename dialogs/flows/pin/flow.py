"""Set a PIN, or change it with the old one."""

from __future__ import annotations

from typing import Any

from dialogs.flows.pin.gate import LOCKED, SHAPE, WRONG_PIN, pin_check
from dialogs.values import counted, text
from dialogs.words import Ask, Context, Data, Dialog, Go, Say, Typed, Wrong
from engine.words import BadPin
from settings import Operator


def pin(operator: Operator) -> Dialog:
    """A line that has a PIN must give it first. A PIN is never held between hops, so it is not asked for twice."""
    digits = counted("A PIN has {count} digit.", "A PIN has {count} digits.", operator.pins.digits)

    async def skip_when_none(context: Context, _data: Data) -> dict[str, Any] | Go:
        """Who has no PIN goes straight to the new one."""
        return {} if context.subscriber.has_pin else Go("pin.new")

    async def only_with_the_old_one(context: Context, data: Data) -> dict[str, Any] | Go:
        """Nobody comes here past the old one, by whatever way."""
        return Go("pin.old") if context.subscriber.has_pin and not data.get("old_pin_given") else {}

    async def accept(context: Context, _data: Data, typed: str) -> Go | Wrong:
        """Sets it, unless it is one that others try first."""
        try:
            await context.engine.set_pin(context.subscriber, typed)
        except BadPin as error:
            return Wrong(text("Too easy to guess.") if error.args[0] == "guessable" else digits)
        return Go("pin.done", done=True)

    old = Ask(
        name="pin.old",
        text=text("Enter your old PIN:"),
        load=skip_when_none,
        redirects=("pin.new",),
        typed=pin_check("pin.new", {"old_pin_given": True}),
        wrong=WRONG_PIN,
        secret=True,
    )
    new = Ask(
        name="pin.new",
        text=counted("Choose a PIN of {count} digit:", "Choose a PIN of {count} digits:", operator.pins.digits),
        load=only_with_the_old_one,
        redirects=("pin.old",),
        typed=Typed(shape=SHAPE, sample="8888", accept=accept, leads=("pin.done",)),
        wrong=digits,
        secret=True,
    )
    done = Say(name="pin.done", text=text("Your new PIN is in force. Tell it to nobody."))
    minutes = operator.pins.lock_minutes
    locked = Say(
        name=LOCKED,
        text=counted(
            "Too many wrong PINs. Try again in {count} minute.",
            "Too many wrong PINs. Try again in {count} minutes.",
            minutes,
        ),
    )
    return Dialog(name="pin", states=(old, new, done, locked))
