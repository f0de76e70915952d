"""Every reason that the engine has a code for is told in words."""

from __future__ import annotations

import re
from pathlib import Path

from engine.words import NotPossible
from portal.console.names import risk
from portal.console.reasons import REASONS, reason_of

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
