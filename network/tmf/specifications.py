"""TMF635: the kinds of use that can be reported, and what has to be said of each."""

from __future__ import annotations

from network.tmf import wire
from network.tmf.amounts import UsageType
from settings import Operator

#: the characteristic that says how much
COUNTS = {UsageType.DATA: "volume", UsageType.VOICE: "duration", UsageType.SMS: "count"}

_DESCRIBED = {
    UsageType.DATA: ("Mobile data", "bytes in all; uplinkVolume and downlinkVolume may say it by direction"),
    UsageType.VOICE: ("Calls", "seconds"),
    UsageType.SMS: ("Texts", "how many"),
}


def specifications(operator: Operator, root: str) -> list[wire.UsageSpecification]:
    """What this operator charges for."""
    groups = ", ".join(f"{group} {one.code}" for one in operator.categories for group in one.rating_groups)
    rating_group = (
        f"the traffic category: {groups}" if groups else "the traffic category; this operator tells none apart"
    )
    return [
        wire.UsageSpecification(
            id=kind,
            href=f"{root}/usageSpecification/{kind}",
            name=name,
            description=f"{name} of a line, charged when it is reported",
            lifecycle_status="active",
            version="1.0",
            spec_characteristic=(
                _characteristic("msisdn", "string", "the line's number, unless relatedParty says it", 0),
                _characteristic(COUNTS[kind], "integer", counted, 0 if kind is UsageType.DATA else 1),
                *(
                    _characteristic(side, "integer", "bytes", 0)
                    for side in ("uplinkVolume", "downlinkVolume")
                    if kind is UsageType.DATA
                ),
                _characteristic("ratingGroup", "integer", rating_group, 0),
                _characteristic("category", "string", "the traffic category by its code, instead", 0),
            ),
        )
        for kind, (name, counted) in _DESCRIBED.items()
    ]


def ordinary_group(operator: Operator) -> int:
    """The rating group of data that is nothing special: the first that is charged for."""
    for category in operator.categories:
        if category.rating_groups and not category.zero_rated:
            return category.rating_groups[0]
    return 0


def _characteristic(name: str, value_type: str, description: str, least: int) -> wire.SpecCharacteristic:
    return wire.SpecCharacteristic(name=name, value_type=value_type, description=description, min_cardinality=least)
