"""What a state says for its data, before it is put into a language. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dialogs.values import Clock, Text, lines, text
from dialogs.words import Before, Confirm, Data, Go, MoneyStep, Place, State, Words


def before_asking_again(at: datetime, reference: str) -> Text:
    """The line above a money step that was done a moment ago."""
    return text("Done at {time}, ref {reference}. Again?", time=Clock(at), reference=reference)


def before_paying_again(at: datetime, reference: str) -> Text:
    """The line above a payment that was asked for a moment ago, and has not come yet."""
    return text("Asked at {time}, ref {reference}. Again?", time=Clock(at), reference=reference)


def screen_text(state: State, data: Data) -> Text:
    """The text of a state for its data; with ``done_at`` a money step says that it was done before."""
    if isinstance(state, MoneyStep) and state.brief is not None and "done_at" in data:
        before = before_asking_again if data.get("was_done", True) else before_paying_again
        return lines(before(data["done_at"], data["reference"]), _said(state.brief, data))
    return _said(state.text, data)


def told_before(
    state: MoneyStep, place: Place, loaded: dict[str, Any], before: Before
) -> tuple[Place, dict[str, Any] | Go]:
    """How a money step tells that the same was done under another key: on its screen, or by leading elsewhere."""
    if state.brief is not None:
        # Kept with the place: who says yes must have seen this one, not one before it.
        data = {**place.data, "again": before.reference}
        place = Place(state=place.state, data=data, trail=place.trail, visits=place.visits)
        return place, {**loaded, "done_at": before.at, "reference": before.reference, "was_done": before.done}
    if not isinstance(state, Confirm) or state.already is None:
        return place, loaded
    told = {"done_at": before.at.isoformat(), "reference": before.reference}
    return place, Go(state.already, told, done=True)


def _said(words: Words, data: Data) -> Text:
    return words if isinstance(words, Text) else words(data)
