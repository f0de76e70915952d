"""Texts and values in the person's language: gettext catalogues, money, amounts, days.

Catalogues are ``locales/<language>/LC_MESSAGES/rasid.po``; they are compiled in memory at start, so there is no build
step and no compiled file to forget. English is the language of the messages themselves. This is on the path of every
turn: what babel knows is asked once per language and currency, formatting itself is integer arithmetic.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import msgspec
from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, get_currency_precision

from dialogs.values import Clock, LastDay, Money, Names, Quantity, Text, Together, counted, text
from engine.words import Unit
from settings import Operator

#: one folder for each language
CATALOGUES = Path(__file__).parent / "locales"
#: what an operator says instead: language → English message → text, or its plural forms
OwnTexts = Mapping[str, Mapping[str, str | tuple[str, ...]]]
#: languages that are written from right to left
RIGHT_TO_LEFT = frozenset({"ar"})
#: what babel puts into amounts and a phone cannot show: no-break spaces become spaces, direction marks go
_PLAIN = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u200f": None, "\u200e": None, "\u061c": None})
#: decimal steps, as bundles are sold and catalogues written (1 MB = 1 000 000 octets; IEC 80000-13)
_SIZES = ((10**9, text("{amount} GB")), (10**6, text("{amount} MB")), (10**3, text("{amount} kB")))


class CurrencyStyle(msgspec.Struct, frozen=True):
    """How one language writes amounts of one currency."""

    before: str
    after: str
    group: str
    decimal: str
    #: digits of the minor unit: 2 for KES, 0 for XOF, 3 for BHD
    digits: int

    def write(self, amount: int) -> str:
        """``amount`` minor units, exactly: no rounding, no floating point."""
        major, minor = divmod(abs(amount), 10**self.digits)
        whole = f"{major:,}".replace(",", self.group)
        rest = f"{self.decimal}{minor:0{self.digits}d}" if self.digits else ""
        return f"{'-' if amount < 0 else ''}{self.before}{whole}{rest}{self.after}"


@lru_cache(maxsize=256)
def currency_style(currency: str, language: str) -> CurrencyStyle:
    """How ``language`` writes ``currency``, asked of babel (CLDR): symbol, side, separators; always Latin digits."""
    numbers = Locale.parse(language).number_symbols["latn"]
    written = format_currency(1, currency, locale=language, numbering_system="latn").translate(_PLAIN)
    first = min(place for place, character in enumerate(written) if character.isdigit())
    last = max(place for place, character in enumerate(written) if character.isdigit())
    before, after = written[:first], written[last + 1 :]
    # CLDR asks for a space between letters and digits ("KES 5"); babel leaves it out.
    if before and before[-1].isalpha():
        before += " "
    after = after.rstrip(".")  # a full stop often follows the amount
    group = numbers["group"].translate(_PLAIN)
    return CurrencyStyle(before, after, group, numbers["decimal"], get_currency_precision(currency))


def money(amount: int, currency: str, language: str) -> str:
    """``amount`` minor units of ``currency`` as ``language`` writes them, in characters that a phone has."""
    return currency_style(currency, language).write(amount)


def read_catalogue(language: str) -> Catalog:
    """The catalogue of one language, as translators wrote it. Raises ``FileNotFoundError`` when there is none."""
    path = CATALOGUES / language / "LC_MESSAGES" / "rasid.po"
    return read_po(io.BytesIO(path.read_bytes()), locale=language)


def compile_catalogue(catalogue: Catalog) -> gettext.NullTranslations:
    """A catalogue ready for use; entries marked fuzzy are left out."""
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def with_own(catalogue: Catalog, own: Mapping[str, str | tuple[str, ...]]) -> Catalog:
    """The catalogue with an operator's own texts in it; what the catalogue does not know is left out."""
    for message, said in own.items():
        entry = catalogue.get(message)
        if entry is not None:
            entry.string = said
            entry.flags.discard("fuzzy")
    return catalogue


def own_english(own: Mapping[str, str | tuple[str, ...]]) -> Catalog:
    """An English catalogue of nothing but an operator's own texts."""
    catalogue = Catalog(locale="en")
    for message, said in own.items():
        # What is looked up is the wording for one; the one for many only makes it a message with plural forms.
        catalogue.add((message, message) if isinstance(said, tuple) else message, said)
    return catalogue


class Texts:
    """Everything Rasid says, in the languages of one operator, with times in one zone."""

    def __init__(
        self,
        languages: tuple[str, ...],
        timezone: str,
        own: OwnTexts | None = None,
        read: Callable[[str], Catalog] = read_catalogue,
    ) -> None:
        """``languages``: the first is the default. Raises ``FileNotFoundError`` for one without a catalogue.

        ``own``: what the operator says instead; ``read``: where catalogues come from.
        """
        own = own or {}
        self.languages = languages
        self.default = languages[0]
        self.catalogues = {
            language: with_own(read(language), own.get(language, {})) for language in languages if language != "en"
        }
        self._spoken: dict[str, gettext.NullTranslations] = {"en": gettext.NullTranslations()}
        if own.get("en"):
            self._spoken["en"] = compile_catalogue(own_english(own["en"]))
        self._spoken |= {language: compile_catalogue(one) for language, one in self.catalogues.items()}
        self._zone = ZoneInfo(timezone)
        self._writers: dict[type, Callable[[str, Any], str]] = {
            str: _as_read,
            int: lambda _language, value: str(value),
            Text: self.say,
            Money: lambda language, value: money(value.amount, value.currency, language),
            Quantity: self._quantity,
            LastDay: lambda _language, value: self._last_day(value.at),
            Clock: lambda _language, value: f"{value.at.astimezone(self._zone):%H:%M}",
            Names: self._name,
            Together: self._together,
        }

    @classmethod
    def of(cls, operator: Operator) -> Self:
        """The texts of an operator, in its own words where it has some."""
        return cls(operator.languages, operator.timezone, operator.dialogs.texts)

    def adopt(self, newer: Self) -> None:
        """Say from now on what ``newer`` says."""
        self.__dict__.update(newer.__dict__)

    def language(self, wanted: str) -> str:
        """``wanted`` if this operator speaks it, else the default."""
        return wanted if wanted in self.languages else self.default

    def say(self, language: str, said: Text) -> str:
        """A text in a language, its values written as that language writes them."""
        if said.parts:
            return "\n".join([self.say(language, part) for part in said.parts])
        spoken = self._spoken[language]
        if said.plural is None:
            template = spoken.gettext(said.message) if said.message else ""
        else:
            template = spoken.ngettext(said.message, said.plural, said.count)
        if not said.values:
            return template
        return template.format_map({name: self.write(language, value) for name, value in said.values.items()})

    def write(self, language: str, value: Any) -> str:
        """One value of ``dialogs.values``, a string or a whole number, in a language. ``KeyError`` for others."""
        return self._writers[type(value)](language, value)

    def _quantity(self, language: str, value: Quantity) -> str:
        if value.unit is Unit.MONEY:
            return money(value.amount, value.currency, language)
        if value.unit is Unit.OCTETS:
            return self._octets(language, value.amount)
        if value.unit is Unit.SECONDS:
            return self.say(language, _duration(value.amount))
        return self.say(language, counted("{count} SMS", "{count} SMS", value.amount))

    def _octets(self, language: str, amount: int) -> str:
        for size, template in _SIZES:
            if amount >= size:
                # Rounded down: a screen never promises more than there is.
                whole, tenth = divmod(amount * 10 // size, 10)
                decimal = currency_style("USD", language).decimal
                shown = f"{whole}{decimal}{tenth}" if tenth else str(whole)
                return self.say(language, Text(template.message, {"amount": shown}))
        return self.say(language, text("{amount} kB", amount="0" if amount == 0 else "<1"))

    @lru_cache(maxsize=4096)  # noqa: B019 - lives as long as the process, like its owner
    def _last_day(self, at: datetime) -> str:
        local = at.astimezone(self._zone)
        if local.hour == local.minute == local.second == 0:
            return f"{local - timedelta(days=1):%d/%m/%Y}"
        return f"{local:%d/%m/%Y %H:%M}"

    def _name(self, language: str, value: Names) -> str:
        names = value.by_language
        return names.get(language) or names.get(self.default) or next(iter(names.values()))

    def _together(self, language: str, value: Together) -> str:
        comma = "\u060c " if language == "ar" else ", "
        return comma.join([self.write(language, one) for one in value.values])


def _as_read(language: str, value: str) -> str:
    """A string as it stands; the end of a number (``..1234``) so that the dots are seen left of it in every language.

    Written from right to left, what follows digits is seen left of them. A phone shows no marks that would say so.
    """
    return f"{value[2:]}.." if language in RIGHT_TO_LEFT and value.startswith("..") else value


def _duration(seconds: int) -> Text:
    """Whole minutes, as calls are sold; below one, seconds."""
    if seconds < 60:
        return text("{amount} s", amount=seconds)
    return text("{amount} min", amount=seconds // 60)
