"""What is said when the dialogs cannot be entered, or not in time: end screens that need no place and no subscriber."""

from __future__ import annotations

from dialogs.said import Screen
from dialogs.texts import Texts
from dialogs.values import Text, text
from settings import Operator


def declared_notices(operator: Operator) -> dict[str, Text]:
    """Every notice by name."""
    dial = f"*{operator.service_code}#"
    return {
        #: no line of this operator has the number
        "unknown_line": text("Your number is not known here. Help: {number}", number=operator.support_number),
        #: malformed, foreign or not a mobile
        "bad_number": text("This service is not open to your number. Help: {number}", number=operator.support_number),
        #: the line is gone
        "terminated": text("This line is closed. Help: {number}", number=operator.support_number),
        #: the engine or a store did not answer: nothing was done, or what was done will be found again under its key
        "try_again": text("Not possible right now. Please dial {code} again in a minute.", code=dial),
        #: a payment was asked for, and whether it came about is not known yet
        "paying": text("Your payment may be under way. Look under My payments before you pay again."),
        #: the session is known no longer, and its gateway does not say what was typed before
        "session_lost": text("Your session has ended. Please dial {code} again.", code=dial),
        #: the outcome follows by message
        "late": text("This takes a little longer. We will text you the outcome."),
        #: the same line is being served at this moment
        "busy": text("Your last request is still being worked on. Please wait a moment."),
        #: more texts in an hour than anybody reads
        "too_many": text("Too many tries. Please try again in an hour."),
        "bad_input": text("We could not read that. Please dial {code} again.", code=dial),
    }


class Notices:
    """The notices of one operator as end screens."""

    def __init__(self, texts: Texts, operator: Operator) -> None:
        self._texts = texts
        self._declared = declared_notices(operator)

    def adopt(self, newer: Notices) -> None:
        """Say from now on what ``newer`` says."""
        self._texts, self._declared = newer._texts, newer._declared

    def names(self) -> tuple[str, ...]:
        """Every notice there is."""
        return tuple(self._declared)

    def screen(self, name: str, language: str | None = None) -> Screen:
        """A notice as an end screen, in ``language`` or the operator's default. Raises ``KeyError`` for other names."""
        spoken = self._texts.language(language or self._texts.default)
        return Screen(state=f"notice.{name}", text=self._texts.say(spoken, self._declared[name]), ends=True)
