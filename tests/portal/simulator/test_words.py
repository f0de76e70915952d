"""What the page says is said in every language of pages, by its templates, its scripts and its server."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from portal.simulator.words import catalogue, say

SIMULATOR = Path(__file__).resolve().parents[3] / "portal" / "simulator"
#: a message where it is said: ``say("…")``, in Python with the language before it
SAID = re.compile(r'\bsay\(\s*(?:language,\s*)?"((?:[^"\\]|\\.)+)"')


def messages() -> set[str]:
    files = [*SIMULATOR.glob("templates/*.html"), *SIMULATOR.glob("static/*.js"), *SIMULATOR.glob("*.py")]
    return {message for file in files for message in SAID.findall(file.read_text())}


def names(message: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(message) if name}


@pytest.mark.parametrize("language", ["fr", "sw", "ar"])
def test_every_message_of_the_page_is_translated_with_its_placeholders_and_none_is_left_over(language: str) -> None:
    translated = catalogue(language)
    assert messages() ^ translated.keys() == set()
    assert [message for message, said in translated.items() if not said or names(message) != names(said)] == []


def test_every_message_is_written_where_it_is_said_so_that_it_can_be_found() -> None:
    scripts = "".join(file.read_text() for file in SIMULATOR.glob("static/*.js") if file.name != "words.js")
    assert re.findall(r'\bsay\((?!")[^)]*', scripts) == []


def test_a_language_without_a_catalogue_speaks_english() -> None:
    assert say("en", "Phone {number}", number=2) == "Phone 2"
