"""A receipt on paper: what it says."""

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
