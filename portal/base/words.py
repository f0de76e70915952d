"""What pages say: their own catalogues above those of the dialogs, so that both say the same in the same words.

Pages are longer than a phone's screen and have catalogues of their own: ``locales/<language>/LC_MESSAGES/pages.po``.
"""

from __future__ import annotations

import io
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from babel.core import negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from dialogs.flows.language.flow import OWN_NAMES
from dialogs.texts import Texts, compile_catalogue
from dialogs.values import Money, Quantity, Together

#: the languages that pages speak, by what they call themselves; dialogs speak more
LANGUAGES = {code: OWN_NAMES[code] for code in ("en", "fr", "sw", "ar")}
RIGHT_TO_LEFT = frozenset({"ar"})
LEFT_TO_RIGHT_MARK = "\u200e"


def page_catalogue(language: str) -> Traversable:
    """Where the pages' catalogue of a language lies, if it has one."""
    return files("portal") / "base" / "locales" / language / "LC_MESSAGES" / "pages.po"


def read_page_catalogue(language: str) -> Catalog:
    """The pages' catalogue of one language. Raises ``FileNotFoundError`` when there is none."""
    return read_po(io.BytesIO(page_catalogue(language).read_bytes()), locale=language)


class PageTexts(Texts):
    """The texts of pages and dialogs in the languages of one operator."""

    def __init__(self, languages: tuple[str, ...], timezone: str) -> None:
        """As ``Texts``."""
        super().__init__(languages, timezone)
        for language, spoken in self._spoken.items():
            # Languages of the dialogs alone say on pages what the dialogs say too; the rest stays English.
            if page_catalogue(language).is_file():
                pages = compile_catalogue(read_page_catalogue(language))
                pages.add_fallback(spoken)
                self._spoken[language] = pages

    def write(self, language: str, value: Any) -> str:
        """As ``Texts.write``; a sign stays on its number's left where people write from the right (UAX #9)."""
        written = super().write(language, value)
        below = isinstance(value, Money | Quantity) and value.amount < 0
        telephone = isinstance(value, str) and value.startswith("+")
        return f"{LEFT_TO_RIGHT_MARK}{written}" if language in RIGHT_TO_LEFT and (below or telephone) else written

    def _together(self, language: str, value: Together) -> str:
        """Where people write from the right, each part keeps its own order, and they stand in theirs (UAX #9, FSI)."""
        if language not in RIGHT_TO_LEFT:
            return super()._together(language, value)
        apart = [f"\u2068{self.write(language, one)}\u2069" for one in value.values]
        return super()._together(language, Together(tuple(apart)))

    def preferred(self, accepted: str) -> str:
        """The language that a browser asks for (``Accept-Language``, RFC 9110 §12.5.4), as far as it is spoken."""
        wanted = [part.partition(";")[0].strip().replace("-", "_") for part in accepted.split(",")]
        return negotiate_locale(wanted, self.languages) or self.default
