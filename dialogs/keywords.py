"""Words that people text instead of dialling: which they are in each language, what each of them leads to.

They are declared as messages of the catalogues: a list of synonyms with commas between, of which the first is the one
that help names. English words are understood in every language, because they stand on posters and scratch cards.
A keyword only says where in the dialogs to begin and what to type there, so what it does is what typing would do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from dialogs.machine import BACK_KEY, HOME_KEY, MORE_KEY
from dialogs.tailoring import offered, rules_of
from dialogs.texts import Texts
from dialogs.values import Names, Text, text
from settings import Operator

#: more words than this are a letter to somebody else: they are not looked at
WORDS_MOST = 40
#: what a bare number may at most look like to be meant as an answer, not as a voucher number
ANSWER_DIGITS_MOST = 9
#: more digits than that are a number to send to, not an amount
AMOUNT_DIGITS_MOST = 6
#: what says that data is sent, in any language
DATA_WORDS = frozenset({"mb", "mo", "data"})
#: typed where an option is chosen, it is none: the list is shown again with a line that says so
NO_OPTION = "?"
#: a word is letters of any script, or digits; what stands between words means nothing
TOKEN = re.compile(r"[^\W\d_]+|\d+")
#: letters that people write one for the other, beside those that Unicode decomposes
ALIKE = str.maketrans({"\u0629": "\u0647", "\u0649": "\u064a", "\u0640": None, "\u2019": None, "'": None})


class Intent(StrEnum):
    """What a keyword asks for."""

    BALANCE = "balance"
    RECHARGE = "recharge"
    BUY = "buy"
    MENU = "menu"
    LANGUAGE = "language"
    SEND = "send"
    ADVANCE = "advance"
    WHY = "why"
    USAGE = "usage"
    UNDO = "undo"
    CONTINUE = "continue"
    HELP = "help"
    STOP = "stop"
    START = "start"


#: the keywords of each intent, in English; translations may be more or fewer
WORDS: dict[Intent, Text] = {
    Intent.BALANCE: text("BAL, BALANCE, MY BALANCE, CHECK BALANCE, CREDIT"),
    Intent.RECHARGE: text("RCH, RECHARGE, TOP UP, TOPUP, VOUCHER, LOAD"),
    Intent.BUY: text("BUY, BUNDLE, BUNDLES, DATA"),
    Intent.MENU: text("MENU, HOME, HI, HELLO"),
    Intent.LANGUAGE: text("LANG, LANGUAGE"),
    Intent.SEND: text("SEND, SHARE, GIVE, TRANSFER"),
    Intent.ADVANCE: text("ADVANCE, BORROW, LOAN"),
    Intent.WHY: text("WHY"),
    Intent.USAGE: text("USAGE, USED, MY USAGE"),
    Intent.UNDO: text("UNDO, TAKE BACK"),
    Intent.CONTINUE: text("CONTINUE, GO ON, RESUME"),
    Intent.HELP: text("HELP, INFO"),
    Intent.STOP: text("STOP, STOP ALL, STOPALL, UNSUBSCRIBE"),
    Intent.START: text("START, UNSTOP, SUBSCRIBE"),
}
#: where a voucher number is typed
VOUCHER = "recharge.number"
#: where in the dialogs an intent begins; the others are answered without
BEGINNINGS: dict[Intent, str] = {
    Intent.BALANCE: "balance.show",
    Intent.RECHARGE: "pay.home",
    Intent.BUY: "bundles.list",
    Intent.MENU: "main_menu.home",
    Intent.LANGUAGE: "language.choose",
    Intent.SEND: "transfer.what",
    Intent.ADVANCE: "advance.offer",
    Intent.WHY: "usage.why",
    Intent.USAGE: "usage.home",
    Intent.UNDO: "transfer.gift",
}


class Keyword(NamedTuple):
    """A text understood: what it asks for, and the words behind the keyword, plain."""

    intent: Intent
    rest: tuple[str, ...] = ()


class Beginning(NamedTuple):
    """Where in the dialogs a keyword begins, and what is typed there on the person's behalf."""

    state: str
    typed: tuple[str, ...] = ()


class Keywords:
    """The keywords of one operator in all its languages."""

    def __init__(self, texts: Texts, operator: Operator) -> None:
        self._texts = texts
        self._rules = rules_of(operator)
        self._known: dict[tuple[str, ...], Intent] = {}
        for language in {"en": None, **dict.fromkeys(texts.languages)}:
            for intent, said in WORDS.items():
                for phrase in phrases(texts, language, said):
                    self._known.setdefault(phrase, intent)
        self._longest = max(len(phrase) for phrase in self._known)
        # What a bundle may be called: its code, or its name in any language.
        self._sent = [one.unit for one in operator.transfers]
        self._products: dict[tuple[str, ...], int] = {}
        for number, product in enumerate(operator.products, 1):
            for name in (product.code, *product.name.values()):
                self._products.setdefault(words(name), number)

    def read(self, typed: str) -> Keyword | None:
        """The keyword a text begins with, or None, however it is written.

        Case, spacing, punctuation, accents and the script of digits mean nothing.
        """
        given = words(typed)
        for length in range(min(self._longest, len(given)), 0, -1):
            intent = self._known.get(given[:length])
            if intent is not None:
                return Keyword(intent, given[length:])
        return None

    def beginning(self, keyword: Keyword) -> Beginning | None:
        """Where a keyword leads in the dialogs; None for help, stop and start."""
        state = BEGINNINGS.get(keyword.intent)
        if state is None:
            return None
        if keyword.intent is Intent.RECHARGE:
            number = "".join([word for word in keyword.rest if word.isdecimal()])
            if len(number) > len(MORE_KEY) and offered(VOUCHER, self._rules):
                return Beginning(VOUCHER, (number,))
        if not offered(state, self._rules):
            return Beginning(BEGINNINGS[Intent.MENU])
        if keyword.intent is Intent.BUY and keyword.rest:
            return Beginning(state, (self._bundle(keyword.rest),))
        if keyword.intent is Intent.SEND:
            return Beginning(state, self._sending(keyword.rest))
        return Beginning(state)

    def _sending(self, rest: tuple[str, ...]) -> tuple[str, ...]:
        """``SEND 50 0712…``, ``SEND 0712… 50``, ``SEND 20 MB 0712…``: what is sent, to whom, how much."""
        numbers = [word for word in rest if word.isdecimal()]
        receiver = next((word for word in numbers if len(word) > AMOUNT_DIGITS_MOST), None)
        amount = next((word for word in numbers if len(word) <= AMOUNT_DIGITS_MOST), None)
        unit = "octets" if DATA_WORDS.intersection(rest) else "money"
        if receiver is None or unit not in self._sent:
            return ()
        chosen = str(self._sent.index(unit) + 1)
        return (chosen, receiver) if amount is None else (chosen, receiver, amount)

    def first(self, intent: Intent) -> Names:
        """The word for an intent that help names, in each language."""
        return Names(
            {language: _synonyms(self._texts, language, WORDS[intent])[0] for language in self._texts.languages}
        )

    def _bundle(self, rest: tuple[str, ...]) -> str:
        """The option that names the wanted bundle: by position, code or name."""
        known = self._products.get(rest)
        if known is not None:
            return str(known)
        number = rest[0]
        meant = number.isdecimal() and number not in (BACK_KEY, HOME_KEY, MORE_KEY)
        return number if meant else NO_OPTION


def words(typed: str) -> tuple[str, ...]:
    """A text as plain words: small letters without accents, digits of any script as 0 to 9, the two apart."""
    plain = "".join(
        [
            str(unicodedata.decimal(one)) if one.isdecimal() else one
            for one in unicodedata.normalize("NFKD", typed)
            if unicodedata.category(one) not in ("Mn", "Cf")
        ]
    )
    return tuple(TOKEN.findall(plain.casefold().translate(ALIKE))[:WORDS_MOST])


def bare_number(typed: str) -> str | None:
    """The digits of a text that is nothing but a number, or None."""
    given = words(typed)
    return "".join(given) if given and all(word.isdecimal() for word in given) else None


def phrases(texts: Texts, language: str, said: Text) -> Iterator[tuple[str, ...]]:
    """The synonyms of a list, as ``words`` makes them."""
    for one in _synonyms(texts, language, said):
        phrase = words(one)
        if phrase:
            yield phrase


def _synonyms(texts: Texts, language: str, said: Text) -> list[str]:
    spoken = said.message if language == "en" else texts.say(language, said)
    return [one.strip() for one in re.split("[,\u060c]", spoken) if one.strip()]


def keyword_faults(texts: Texts) -> Iterator[tuple[str, str]]:
    """(language, what is wrong): a word with two meanings, or that is a number, or no word at all."""
    meant: dict[tuple[str, ...], Intent] = {}
    for language in {"en": None, **dict.fromkeys(texts.languages)}:
        for intent, said in WORDS.items():
            found = list(phrases(texts, language, said))
            if not found:
                yield language, f"no keyword for {intent}"
            for phrase in found:
                other = meant.setdefault(phrase, intent)
                if other is not intent:
                    yield language, f"keyword {' '.join(phrase)!r} means {other} and {intent}"
                if phrase[0].isdecimal():
                    yield language, f"keyword {' '.join(phrase)!r} begins with a digit: numbers are answers"


def text_notices(operator: Operator, keywords: Keywords) -> dict[str, Text]:
    """What is said to people who text, beside the dialogs."""
    balance, recharge, buy = (keywords.first(one) for one in (Intent.BALANCE, Intent.RECHARGE, Intent.BUY))
    menu, helping = keywords.first(Intent.MENU), keywords.first(Intent.HELP)
    stop, start = keywords.first(Intent.STOP), keywords.first(Intent.START)
    return {
        "help": text(
            "{operator}. {balance}: your balance. {recharge} and the voucher number: recharge. {buy}: bundles. "
            "{menu}: everything. {stop}: no more news. Help: {number}",
            operator=operator.name,
            balance=balance,
            recharge=recharge,
            buy=buy,
            menu=menu,
            stop=stop,
            number=operator.support_number,
        ),
        #: neither a keyword nor an answer
        "not_understood": text(
            "We did not understand that. Text {balance}, {recharge}, {buy}, {menu} or {help}.",
            balance=balance,
            recharge=recharge,
            buy=buy,
            menu=menu,
            help=helping,
        ),
        #: asked to go on where nothing was left
        "nothing_left": text("There is nothing to continue. Text {menu} to begin.", menu=menu),
        #: an answer to a question that is long past
        "text_ended": text("That session has ended. Text {menu} to begin again.", menu=menu),
        "stopped": text(
            "{operator} sends you no more alerts and news. Text {start} to get them again.",
            operator=operator.name,
            start=start,
        ),
        "started": text(
            "{operator} sends you alerts and news again. Text {stop} to end them.", operator=operator.name, stop=stop
        ),
    }


#: the line between what a text says and the options to answer it with
CHOOSE_LINE = text("Reply with a number:")
CONFIRM_LINE = text("Reply 1 to confirm:")
