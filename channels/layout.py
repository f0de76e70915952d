"""Shape a screen for a gateway: exact to the septet, an option never split, numbers the same over pages.

Source: 3GPP TS 23.038 §6.2.1: a character of the default alphabet takes one septet, one of its extension table two
(an escape goes before it). A text with any other character goes out as UCS-2, where a character outside the basic
plane takes two units. Latin letters and marks that the alphabet lacks are first replaced by their nearest relatives,
because one ê would otherwise halve the screen.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

from channels.gsm import gsm_alphabet
from channels.turn import Budget
from dialogs.machine import BACK_KEY, HOME_KEY, MORE_KEY
from dialogs.said import Screen

#: a page whose navigation leaves less than this for content is of no use
LEAST_ROOM = 8
#: relatives of what the alphabet lacks and Unicode does not decompose to
RELATIVES = {
    **dict.fromkeys("\u2018\u2019\u02bc`\u00b4", "'"),
    **dict.fromkeys("\u201c\u201d\u00ab\u00bb\u201e", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014", "-"),
    **dict.fromkeys("\u00a0\u202f\u2009\u2007\t", " "),
    "\u2026": "...",
    "\u2022": "*",
    "\u0153": "oe",
    "\u0152": "OE",
    "\u0142": "l",
    "\u0141": "L",
    "\u0131": "i",
    # Hausa's hooked letters, as people text them, and the naira.
    "\u0253": "b",
    "\u0181": "B",
    "\u0257": "d",
    "\u018a": "D",
    "\u0199": "k",
    "\u0198": "K",
    "\u01b4": "y",
    "\u01b3": "Y",
    "\u20a6": "N",
}


class Alphabet(NamedTuple):
    """GSM 03.38: what each character costs, and a quick test for texts without escapes."""

    septets: dict[str, int]
    plain: re.Pattern[str]


@cache
def alphabet() -> Alphabet:
    """The default alphabet with its extension table."""
    septets = {character: len(spelled) for character, spelled in gsm_alphabet().items()}
    plain = "".join(re.escape(character) for character, cost in septets.items() if cost == 1)
    return Alphabet(septets, re.compile(f"[{plain}]*"))


@lru_cache(maxsize=4096)
def relative(character: str) -> str:
    """What stands in for a character that the alphabet lacks; itself when there is nothing near."""
    septets = alphabet().septets
    if character in septets:
        return character
    if character in RELATIVES:
        return RELATIVES[character]
    bare = "".join(one for one in unicodedata.normalize("NFKD", character) if not unicodedata.combining(one))
    return bare if bare and all(one in septets for one in bare) else character


def transliterate(text: str) -> str:
    """The text with relatives for all characters that the alphabet lacks, as far as there are any."""
    return "".join([relative(character) for character in unicodedata.normalize("NFC", text)])


def can_be_septets(text: str) -> bool:
    """Whether the alphabet can hold a text once relatives stand in for what it lacks."""
    known = alphabet().septets
    composed = unicodedata.normalize("NFC", text)
    return all(character in known or relative(character) != character for character in set(composed))


def septets(text: str) -> int | None:
    """How many septets a text takes, escapes counted; None when it does not fit into the alphabet."""
    known = alphabet()
    if known.plain.fullmatch(text):
        return len(text)
    try:
        return sum([known.septets[character] for character in text])
    except KeyError:
        return None


def units(text: str) -> int:
    """How many UCS-2 units a text takes; characters outside the basic plane take two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-be", "surrogatepass")) // 2


def _exact_septets(text: str) -> int:
    counted = septets(text)
    if counted is None:
        raise ValueError("not in the GSM 03.38 alphabet")
    return counted


def pages(screen: Screen, budget: Budget) -> list[str]:
    """The screen as the gateway's pages, in order: all but the last end in ``98`` with the screen's word for more.

    Each page fits the budget. An option stands whole on one page, under its own number; one that is longer than a page
    is shortened (the check before start refuses such options). Long text is broken at words. Raises ``ValueError``
    when the navigation lines leave no room for anything else.
    """
    foot = _navigation(screen)
    whole = _join(screen.text, *_options(screen), *foot)
    if alphabet().plain.fullmatch(whole) and len(whole) <= budget.septets:
        return [whole]
    return _Paper(screen, budget).pages()


def misfit(screen: Screen, budget: Budget, most_pages: int) -> str | None:
    """Why a screen does not do on a gateway, or None: an option to be shortened, no room, more than ``most_pages``."""
    try:
        paper = _Paper(screen, budget)
        count = len(paper.pages())
    except ValueError as error:
        return str(error)
    if paper.shortened:
        return f"option {paper.shortened[0]!r} is longer than a page"
    return f"takes {count} pages, at most {most_pages} will do" if count > most_pages else None


def _options(screen: Screen) -> list[str]:
    return [f"{number} {option.label}" for number, option in screen.numbered()]


def _navigation(screen: Screen) -> list[str]:
    back = [] if screen.back is None else [f"{BACK_KEY} {screen.back}"]
    return back if screen.home is None else [*back, f"{HOME_KEY} {screen.home}"]


def _join(*lines: str) -> str:
    return "\n".join([line for line in lines if line])


class _Paper:
    """Pages of one screen being filled, in one alphabet for all of them."""

    def __init__(self, screen: Screen, budget: Budget) -> None:
        """Decide the alphabet: as it is, with relatives, or UCS-2."""
        body, options, foot = screen.text, _options(screen), _navigation(screen)
        more = f"{MORE_KEY} {screen.more}"
        whole = _join(body, *options, *foot, more)
        self._cost: Callable[[str], int] = _exact_septets
        self._most = budget.septets
        if septets(whole) is None:
            if can_be_septets(whole):
                body, more = transliterate(body), transliterate(more)
                options, foot = [transliterate(one) for one in options], [transliterate(one) for one in foot]
            else:
                self._cost, self._most = units, budget.ucs2
        self._body = [line for line in body.split("\n") if line]
        self._options = options
        self._last_foot = foot
        self._foot = [more, *foot]
        #: options that had to be cut
        self.shortened: list[str] = []

    def pages(self) -> list[str]:
        """Fill page after page; the last one needs no line for more."""
        waiting = [(line, False) for line in self._body] + [(line, True) for line in self._options]
        done: list[str] = []
        while True:
            rest = [line for line, _ in waiting]
            last = _join(*rest, *self._last_foot)
            if self._cost(last) <= self._most:
                return [*done, last]
            room = self._most - self._cost(_join(*self._foot)) - 1
            if room < LEAST_ROOM:
                raise ValueError(f"navigation leaves {room} of {self._most}")
            page, waiting = self._fill(waiting, room)
            done.append(_join(*page, *self._foot))

    def _fill(self, waiting: list[tuple[str, bool]], room: int) -> tuple[list[str], list[tuple[str, bool]]]:
        """One page's lines, and what is left. At least one line goes on it, in part if need be."""
        page: list[str] = []
        left = room
        for place, (line, is_option) in enumerate(waiting):
            cost = self._cost(line) + (1 if page else 0)
            if cost <= left:
                page.append(line)
                left -= cost
                continue
            if page and self._cost(line) <= room:  # it will stand whole on the next page
                return page, waiting[place:]
            if page and (is_option or left < room // 3):
                return page, waiting[place:]
            if is_option:
                self.shortened.append(line)
                return [self._head(line, room)], waiting[place + 1 :]
            head, tail = self._break(line, left - (1 if page else 0))
            return [*page, head], [(tail, False), *waiting[place + 1 :]] if tail else waiting[place + 1 :]
        return page, []

    def _head(self, line: str, room: int) -> str:
        """As many whole characters as there is room for."""
        spent = 0
        for place, character in enumerate(line):
            spent += self._cost(character)
            if spent > room:
                return line[:place]
        return line

    def _break(self, line: str, room: int) -> tuple[str, str]:
        """Break at the last space that leaves a fitting head; a word longer than a page between characters."""
        head = self._head(line, room)
        if line[len(head) :].startswith(" "):
            return head.rstrip(" "), line[len(head) :].lstrip(" ")
        space = head.rstrip(" ").rfind(" ")
        if space > 0:
            return head[:space].rstrip(" "), line[space:].lstrip(" ")
        return head, line[len(head) :]
