"""What staff may do alone, and what needs a second person."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configuration.base import Strict


class StaffRules(Strict):
    """``[staff]`` of the operator's file."""

    #: what one person may correct and give back alone within 24 hours, by unit, in its smallest parts; of a unit that
    #: is not named nothing
    alone: dict[Literal["money", "octets", "seconds", "messages"], Annotated[int, Field(ge=0)]] = Field(default={})
    #: what moves nothing and still needs a second person
    always_two: tuple[Literal["status", "unlock", "pin", "receipt"], ...] = ()
    #: a request that nobody decides on within so many hours is over
    open_hours: int = Field(default=72, ge=1, le=720)
