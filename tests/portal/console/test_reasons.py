"""Every reason that the engine has a code for is told in words."""

from __future__ import annotations

import re
from pathlib import Path

from dialogs import messages
from engine.notices.rules import PROMISE
from engine.reconciliation import rules
from engine.reconciliation.tables import State
from engine.words import Code, NotPossible, PaymentState
from portal.console.names import CHANGES, DIFFERENCE_REASONS, risk
from portal.console.reasons import REASONS, reason_of, refused_by_books
from portal.console.request_names import OUTCOMES, TOPICS

ENGINE = Path(__file__).resolve().parents[3] / "engine"
CODED = re.compile(r"(?:NotPossible|NotThere|NoReceipt|CaseRefused|MoveRefused)\((.*?)\)(?: from \w+)?\n", re.DOTALL)


def raised() -> set[str]:
    """The codes that are raised somewhere."""
    found = set()
    for path in ENGINE.rglob("*.py"):
        for given in CODED.findall(path.read_text(encoding="utf-8")):
            found |= set(re.findall(r'"([a-z_]+)"', given))
    return found


def test_every_code_has_a_sentence_and_no_sentence_is_left_over() -> None:
    assert raised() == set(REASONS)


def test_codes_among_the_values_are_told_in_words_too() -> None:
    told = reason_of(NotPossible("a printed batch cannot become active", "batch_step", state="printed", to="active"))
    assert told is not None and told.message == REASONS["batch_step"].message
    assert [str(told.values[name].message) for name in ("state", "to")] == ["Printed", "On sale"]  # type: ignore[union-attr]


def test_what_has_no_code_is_left_to_the_engines_own_words() -> None:
    assert reason_of(ValueError("days: 1 to 365 are meant")) is None


def test_what_made_a_payment_suspicious_is_told_in_words() -> None:
    often = risk("velocity_payer_60min")
    assert (often.message, often.values["minutes"]) == ("{of}: many payments in {minutes} min", "60")
    assert risk("line_new").message == "New line"
    assert risk("of_tomorrow").values == {"code": "of_tomorrow"}


def test_what_differs_is_told_in_words_whatever_is_known_of_it() -> None:
    known = {rules.UNKNOWN_HERE, rules.TOLD_TWICE, rules.NOT_STATED, *PaymentState}
    assert known == DIFFERENCE_REASONS.keys()
    assert {"found", "cleared", State.ASSIGNED, State.RESOLVED} <= CHANGES.keys()


def test_every_message_that_people_are_sent_has_a_name() -> None:
    assert {*messages.TOPICS, PROMISE} == TOPICS.keys()


def test_what_a_request_came_to_is_told_in_words() -> None:
    made = set(re.findall(r'Outcome\("([a-z_]+)"\)', (ENGINE / "staff" / "doing.py").read_text()))
    assert made and made | {*Code} == OUTCOMES.keys()


def test_why_the_books_give_nothing_back_is_told_in_words() -> None:
    assert [code for code in Code if code in refused_by_books(code).message or refused_by_books(code).values] == []
