"""What is said to a person, before a channel has shaped it for what they hold."""

from __future__ import annotations

import msgspec


class Option(msgspec.Struct, frozen=True):
    """One numbered line of a screen. ``id`` is stable over edits and languages; its number is its position."""

    id: str
    label: str


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """What is said to a person, in their language, before a channel has shaped it.

    Options are numbered from 1 in their order; the one with the id ``first`` stands above the others under its own
    number. ``back``, ``home`` and ``more`` are the translated labels of the navigation keys 0, 00 and 98, or None where
    the key does nothing. With ``ends`` the session is over.
    """

    state: str
    text: str
    options: tuple[Option, ...] = ()
    first: str = ""
    back: str | None = None
    home: str | None = None
    more: str = "More"
    ends: bool = False
    #: the next input is a secret (PIN, voucher number): never kept, never logged
    secret: bool = False

    def numbered(self) -> list[tuple[int, Option]]:
        """The options with their numbers, in the order in which they stand on the screen."""
        options = list(enumerate(self.options, 1))
        return sorted(options, key=lambda one: one[1].id != self.first) if self.first else options
