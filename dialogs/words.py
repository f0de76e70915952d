"""The words in which dialogs are declared and screens are said.

A dialog is a set of states. A state says what it loads, what it shows, what a person may answer and where that leads;
everything a check needs to know stands in the declaration, so a graph that cannot work is refused before start.
(contract: the dialogs helper completes the state kinds)
"""

from __future__ import annotations

from typing import Any

import msgspec


class Option(msgspec.Struct, frozen=True):
    """One numbered line of a screen. ``id`` is stable over edits and languages; its number is its position."""

    id: str
    label: str


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """What is said to a person, in their language, before a channel has shaped it.

    Options are numbered from 1 in their order. ``back``, ``home`` and ``more`` are the translated labels of the
    navigation keys 0, 00 and 98, or None where the key does nothing. With ``ends`` the session is over.
    """

    state: str
    text: str
    options: tuple[Option, ...] = ()
    back: str | None = None
    home: str | None = None
    more: str = "More"
    ends: bool = False
    #: the next input is a secret (PIN, voucher number): never kept, never logged
    secret: bool = False


class Place(msgspec.Struct, kw_only=True):
    """Where a person stands in the dialogs: all that must survive between two hops. Holds no secret."""

    state: str = ""
    #: what was chosen so far: codes, ids, amounts
    data: dict[str, Any] = {}
    #: the states that 0 leads back through, with their data
    trail: list[tuple[str, dict[str, Any]]] = []
    #: how often each money state was entered: part of the derived idempotency key
    visits: dict[str, int] = {}
