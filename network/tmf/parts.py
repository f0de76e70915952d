"""What was used of each rating group, as an operation of the books tells it, and as TMF635 characteristics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.words import Answer, ResultCode, Unit, granted
from network.tmf import wire
from network.tmf.amounts import USAGE_TYPES
from network.tmf.specifications import COUNTS


class Part(NamedTuple):
    """What was used of one rating group, and what it cost."""

    unit: Unit
    used: int
    charged: int
    money: int
    category: str | None
    tariff: str | None
    rating_group: int | None
    rated: bool

    def facts(self) -> list[wire.UsageCharacteristic]:
        """As TMF635 characteristics; what nobody knows is left out."""
        name = COUNTS.get(USAGE_TYPES[self.unit], "amount")
        told: dict[str, Any] = {name: self.used, "ratingGroup": self.rating_group, "category": self.category}
        return [wire.UsageCharacteristic(name=key, value=value) for key, value in told.items() if value is not None]


def parts_of(answer: Answer) -> list[Part]:
    """The parts of a session's request that used something or could not be rated, of a single charge, or of files."""
    if answer.kind == "usage":
        return [_from_files(group) for group in answer.details.get("groups", ())]
    if answer.kind == "charge":
        unit = answer.effects[0].unit if answer.effects else Unit.MONEY
        said = answer.details
        amount = said.get("amount", 0)
        return [
            Part(
                *(unit, amount, amount, said.get("money", amount if unit is Unit.MONEY else 0)),
                *(said.get("category"), said.get("tariff"), None, answer.ok),
            )
        ]
    return [
        Part(
            *(one.unit, one.charged + one.overrun, one.charged, one.money),
            *(one.category, one.tariff, one.rating_group, one.result is not ResultCode.RATING_FAILED),
        )
        for one in granted(answer)
        if one.charged or one.overrun or one.granted is None
    ]


def _from_files(group: Mapping[str, Any]) -> Part:
    charged, overrun = group.get("charged", 0), group.get("overrun", 0)
    return Part(
        *(Unit(group["unit"]), charged + overrun, charged, group.get("money", 0)),
        *(group.get("category"), group.get("tariff"), group["rating_group"], True),
    )
