"""A rating group whose traffic several user plane functions carry, each of which tells its own part."""

from __future__ import annotations

from typing import Any

from engine.api import Engine
from tests.network.api import Api
from tests.network.nchf.network import MB, ROOT, asking, data_line, group, left, only, opening, resource

ANCHOR, BRANCH = "2f0f2d3c-7d0e-4b3a-9f6b-5b1a3a1f0001", "2f0f2d3c-7d0e-4b3a-9f6b-5b1a3a1f0002"


def carried(upf: str, told: dict[str, Any]) -> dict[str, Any]:
    return told | {"uPFID": upf}


async def test_a_quota_names_the_function_that_it_was_asked_for(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 100 * MB)
    created = await api.post(ROOT, opening(line, carried(ANCHOR, group(10, wanted={})), group(20, wanted={})))
    first, second = created.body["multipleUnitInformation"]
    assert (first["ratingGroup"], first["uPFID"]) == (10, ANCHOR) and "uPFID" not in second
    used = carried(ANCHOR, group(10, wanted={}, totalVolume=MB))
    assert only(await api.post(f"{resource(created)}/update", asking(1, used)))["uPFID"] == ANCHOR


async def test_parts_of_a_group_are_charged_together_and_one_of_them_gets_the_quota(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 100 * MB)
    ref = resource(await api.post(ROOT, opening(line, carried(ANCHOR, group(10, wanted={})))))
    parts = [carried(ANCHOR, group(10, wanted={}, totalVolume=2 * MB)), carried(BRANCH, group(10, totalVolume=3 * MB))]
    update = await api.post(f"{ref}/update", asking(1, *parts))
    assert (only(update)["resultCode"], only(update)["uPFID"]) == ("SUCCESS", ANCHOR)
    assert (await api.post(f"{ref}/update", asking(1, *parts))).raw == update.raw
    last = [carried(upf, group(10, totalVolume=MB)) for upf in (ANCHOR, BRANCH)]
    assert (await api.post(f"{ref}/release", asking(2, *last))).status == 204
    assert await left(engine, line) == 93 * MB


async def test_containers_that_all_have_one_number_are_charged_each(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 100 * MB)
    ref = resource(await api.post(ROOT, opening(line, group(10))))
    told = [
        {"localSequenceNumber": 0, "triggerTimestamp": f"2026-11-22T10:00:0{second}Z", "totalVolume": volume}
        for second, volume in ((1, MB), (2, MB), (3, 3 * MB))
    ]
    update = asking(1, {"ratingGroup": 10, "usedUnitContainer": [*told, told[0]]})
    assert (await api.post(f"{ref}/update", update)).status == 200
    assert await left(engine, line) == 95 * MB
