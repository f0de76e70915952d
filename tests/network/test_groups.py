"""A rating group that one request names several times is decided once."""

from __future__ import annotations

from engine.words import GroupReport, Unit, Used
from network.groups import asked_twice, merged


def test_what_its_parts_used_is_summed_and_what_one_of_them_asks_for_is_asked() -> None:
    parts = [
        GroupReport(rating_group=10, used=Used(octets_up=1, octets_down=2, seconds=3)),
        GroupReport(rating_group=20, requested=0),
        GroupReport(rating_group=10, unit=Unit.OCTETS, used=Used(octets_down=40, messages=5), requested=7),
        GroupReport(rating_group=10, used=Used(octets_up=100), final=True),
    ]
    used = Used(octets_up=101, octets_down=42, seconds=3, messages=5)
    assert merged(parts) == (
        GroupReport(rating_group=10, unit=Unit.OCTETS, used=used, requested=7),
        GroupReport(rating_group=20, requested=0),
    )
    assert asked_twice(parts) is None


def test_parts_that_used_nothing_say_nothing_of_use() -> None:
    parts = [GroupReport(rating_group=10), GroupReport(rating_group=10, requested=0)]
    assert merged(parts) == (GroupReport(rating_group=10, requested=0),)


def test_a_group_whose_parts_ask_for_two_quotas_is_named() -> None:
    asked = [GroupReport(rating_group=group, requested=0) for group in (10, 20, 20)]
    assert asked_twice(asked) == 20
