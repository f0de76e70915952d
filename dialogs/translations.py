"""Are all texts translated, with the same placeholders? For one declared state, and for all that the source says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir

from dialogs.screens import screen_text
from dialogs.texts import Texts
from dialogs.values import Text, Together
from dialogs.words import Ask, Choose, Menu, MoneyStep, State

PLACEHOLDER = re.compile(r"\{(\w+)\}")
_BRACE = re.compile("[{}]")


def translation_faults(state: State, texts: Texts) -> Iterator[tuple[str, str]]:
    """(language, what is wrong) for everything that a state declares or shows with its samples."""
    messages = {(one.message, one.plural): None for said in _declared(state) for one in _flat(said)}
    for language, catalogue in texts.catalogues.items():
        for message, plural in messages:
            fault = message_fault(catalogue, message, plural)
            if fault is not None:
                yield language, fault


def source_messages() -> list[tuple[str, str | None]]:
    """Every message in the source of the dialogs, for the catalogues of all languages."""
    found: dict[tuple[str, str | None], None] = {}
    keywords: dict[str, Any] = {"text": None, "counted": (1, 2)}
    for _, _, message, _, _ in extract_from_dir(Path(__file__).parent, [("**.py", "python")], keywords=keywords):
        found[(message, None) if isinstance(message, str) else (message[0], message[1])] = None
    return [(message, plural) for message, plural in found if needs_translation(message)]


def needs_translation(message: str) -> bool:
    """Whether a message says anything beside its placeholders."""
    return any(character.isalpha() for character in PLACEHOLDER.sub("", message))


def message_fault(catalogue: Catalog, message: str, plural: str | None) -> str | None:
    """What is wrong with the translation of a message, or None."""
    if not needs_translation(message):
        return None
    entry = catalogue.get(message)
    if entry is None or entry.fuzzy or not entry.string or not all(_forms(entry.string)):
        return f"not translated: {message!r}"
    if plural is not None and not isinstance(entry.string, tuple):
        return f"no plural forms: {message!r}"
    return forms_fault(_forms(entry.string), message, plural)


def forms_fault(forms: Iterable[str], message: str, plural: str | None) -> str | None:
    """Why these forms cannot be said instead of a message, or None: other placeholders, or braces that are none."""
    wanted = set(PLACEHOLDER.findall(plural or message))
    for form in forms:
        spoken = set(PLACEHOLDER.findall(form))
        # A form for none, one or two may say the number in a word.
        if spoken != wanted and not (plural is not None and spoken == wanted - {"count"}):
            return f"placeholders {sorted(spoken)} instead of {sorted(wanted)}: {form!r}"
        if _BRACE.search(PLACEHOLDER.sub("", form)):
            return f"a brace that holds no placeholder: {form!r}"
    return None


def _forms(translation: str | Iterable[str]) -> tuple[str, ...]:
    return (translation,) if isinstance(translation, str) else tuple(translation)


def _declared(state: State) -> Iterator[Text]:
    for sample in state.samples:
        yield screen_text(state, sample)
        if isinstance(state, Choose):
            yield from (item.label for item in state.items(sample))
    if isinstance(state, Menu):
        yield from (link.label for link in state.links)
    if isinstance(state, (Ask, Choose)) and state.wrong is not None:
        yield state.wrong
    if isinstance(state, MoneyStep):
        yield state.yes


def _flat(said: Any) -> Iterator[Text]:
    """A text and the texts among its parts and values."""
    if isinstance(said, Together):
        for value in said.values:
            yield from _flat(value)
    if isinstance(said, Text):
        yield said
        for inner in (*said.parts, *said.values.values()):
            yield from _flat(inner)
