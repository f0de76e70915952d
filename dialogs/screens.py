"""What a state says for its data, before it is put into a language. Pure."""

from __future__ import annotations

from datetime import datetime

from dialogs.values import Clock, Text, lines, text
from dialogs.words import Data, MoneyStep, Pay, State, Words


def before_asking_again(at: datetime, reference: str) -> Text:
    """The line above a money step that was done a moment ago."""
    return text("Done at {time}, ref {reference}. Again?", time=Clock(at), reference=reference)


def before_paying_again(at: datetime, reference: str) -> Text:
    """The line above a payment that was asked for a moment ago."""
    return text("Asked at {time}, ref {reference}. Again?", time=Clock(at), reference=reference)


def screen_text(state: State, data: Data) -> Text:
    """The text of a state for its data; with ``done_at`` a money step says that it was done before."""
    if isinstance(state, MoneyStep) and state.brief is not None and "done_at" in data:
        before = before_paying_again if isinstance(state, Pay) else before_asking_again
        return lines(before(data["done_at"], data["reference"]), _said(state.brief, data))
    return _said(state.text, data)


def _said(words: Words, data: Data) -> Text:
    return words if isinstance(words, Text) else words(data)
