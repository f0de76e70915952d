"""What the console says: its own catalogues above those of the pages and dialogs.

``locales/<language>/LC_MESSAGES/console.po``; staff choose their language themselves, whatever the operator's
subscribers are spoken to in.
"""

from __future__ import annotations

import io
from importlib.resources import files

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from dialogs.texts import compile_catalogue
from portal.base.words import LANGUAGES, PageTexts


def read_console_catalogue(language: str) -> Catalog:
    """The console's catalogue of one language. Raises ``FileNotFoundError`` when there is none."""
    path = files("portal") / "console" / "locales" / language / "LC_MESSAGES" / "console.po"
    return read_po(io.BytesIO(path.read_bytes()), locale=language)


class ConsoleTexts(PageTexts):
    """The texts of the console in every language there is."""

    def __init__(self, timezone: str) -> None:
        """``timezone``: the IANA name of the zone that times are written in."""
        super().__init__(tuple(LANGUAGES), timezone)
        for language, spoken in self._spoken.items():
            if language != "en":
                console = compile_catalogue(read_console_catalogue(language))
                console.add_fallback(spoken)
                self._spoken[language] = console
