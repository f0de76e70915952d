"""What the console says is said in every language."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

from dialogs.texts import read_catalogue
from dialogs.translations import message_fault, needs_translation
from portal.base.words import read_page_catalogue
from portal.console.words import read_console_catalogue

CONSOLE = Path(__file__).resolve().parents[3] / "portal" / "console"
KEYWORDS = {"say": None, "text": None, "counted": (1, 2)}
METHODS = [("**.py", "python"), ("**.html", "jinja2")]


def messages() -> set[tuple[str, str | None]]:
    found = set()
    for one in extract_from_dir(CONSOLE, METHODS, keywords=KEYWORDS):
        said = one[2]
        found.add((said, None) if isinstance(said, str) else (said[0], said[1]))
    return {one for one in found if needs_translation(one[0])}


@pytest.mark.parametrize("language", ["fr", "sw", "ar"])
def test_every_message_of_the_console_is_translated_and_no_translation_is_left_over(language: str) -> None:
    known = read_console_catalogue(language), read_page_catalogue(language), read_catalogue(language)
    for one in messages():
        assert None in [message_fault(catalogue, *one) for catalogue in known], one
    kept = {entry.id if isinstance(entry.id, str) else entry.id[0] for entry in known[0] if entry.id}
    assert kept - {said for said, _ in messages()} == set()
