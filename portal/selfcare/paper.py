"""A receipt on paper: what it says, and where it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple


class Paper(NamedTuple):
    """What is printed, in the person's words."""

    language: str
    rtl: bool
    operator: str
    title: str
    #: what was booked, large
    amount: str
    facts: Sequence[tuple[str, str]]
    foot: str
    at: datetime


def pdf_of(paper: Paper, signed: bytes) -> bytes:
    """The page, with ``signed`` attached. Takes some hundredths of a second: not for an event loop."""
    # The printer's fonts and tables take a second to import, which every start of a server would wait for.
    from portal.selfcare.printing import printed  # noqa: PLC0415

    return printed(paper, signed)
