"""What pages say is said in every language."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

from dialogs.texts import Texts, read_catalogue
from dialogs.translations import message_fault, needs_translation
from dialogs.values import Money, Quantity, Together
from engine.words import Unit
from portal.base.words import PageTexts, read_page_catalogue

PORTAL = Path(__file__).resolve().parents[3] / "portal"
KEYWORDS = {"say": None, "text": None, "counted": (1, 2)}
METHODS = [("**.py", "python"), ("**.html", "jinja2")]


def messages() -> set[tuple[str, str | None]]:
    found = set()
    for folder in ("selfcare", "base"):
        for one in extract_from_dir(PORTAL / folder, METHODS, keywords=KEYWORDS):
            said = one[2]
            found.add((said, None) if isinstance(said, str) else (said[0], said[1]))
    return {one for one in found if needs_translation(one[0])}


@pytest.mark.parametrize("language", ["fr", "sw", "ar"])
def test_every_message_of_the_pages_is_translated_and_no_translation_is_left_over(language: str) -> None:
    pages, dialogs = read_page_catalogue(language), read_catalogue(language)
    for one in messages():
        assert None in (message_fault(pages, *one), message_fault(dialogs, *one)), one
    kept = {entry.id if isinstance(entry.id, str) else entry.id[0] for entry in pages if entry.id}
    assert kept - {said for said, _ in messages()} == set()


@pytest.mark.parametrize(
    ("accepted", "spoken"),
    [("sw-KE,sw;q=0.9,en;q=0.5", "sw"), ("de,ar;q=0.3", "ar"), ("de", "en"), ("", "en"), ("*;;,=", "en")],
)
def test_a_browser_is_spoken_to_as_it_asks(accepted: str, spoken: str) -> None:
    assert PageTexts(("en", "sw", "ar"), "Africa/Nairobi").preferred(accepted) == spoken


def test_a_sign_stays_on_the_left_of_its_number_where_people_write_from_the_right() -> None:
    pages = PageTexts(("en", "ar"), "Asia/Qatar")
    assert pages.write("ar", Money(-38_000, "QAR")).startswith("\u200e-380.00")
    assert pages.write("ar", "+97433123001") == "\u200e+97433123001"
    assert pages.write("ar", Money(38_000, "QAR")).startswith("380.00")
    assert pages.write("en", Money(-38_000, "QAR")) == "-QAR 380.00"


def test_each_of_several_amounts_keeps_its_order_where_people_write_from_the_right() -> None:
    several = Together((Quantity(Unit.MONEY, 5_000, "KES"), Quantity(Unit.MESSAGES, 5, "KES")))
    pages, phone = PageTexts(("en", "ar"), "Africa/Nairobi"), Texts(("en", "ar"), "Africa/Nairobi")
    first, second = (pages.write("ar", one) for one in several.values)
    assert pages.write("ar", several) == f"\u2068{first}\u2069\u060c \u2068{second}\u2069"
    # A phone may not know these characters, and each costs.
    assert phone.write("ar", several) == f"{first}\u060c {second}"
    assert pages.write("en", several) == phone.write("en", several)
