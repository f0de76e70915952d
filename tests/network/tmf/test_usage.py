"""TMF635 over real HTTP: uses are charged once, whatever is left, and read again by line and day."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import Subscriber, Unit
from tests.engine.mediation.files import THEN, record, usage_file
from tests.engine.shop import credit, open_line
from tests.network.api import READ_KEY, Api
from tests.network.tmf.system import USAGES

PATH = f"{USAGES}/usage"


def use(line: Subscriber, usage_type: str, name: str | None = None, **facts: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "usageType": usage_type,
        "usageDate": datetime.now(UTC).isoformat(),
        "relatedParty": [{"id": line.msisdn}],
        "usageCharacteristic": [{"name": key, "value": value} for key, value in facts.items()],
    }
    return asked if name is None else asked | {"id": name}


def facts(usage: dict) -> dict[str, Any]:
    return {one["name"]: one["value"] for one in usage["usageCharacteristic"]}


async def test_a_use_is_charged_and_comes_back_rated(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    await credit(engine, line, 10_000_000, Unit.OCTETS)
    said = await api.post(PATH, use(line, "data", uplinkVolume=1_000_000, downlinkVolume="2000000", ratingGroup=10))
    assert (said.status, said.body["status"]) == (201, "rated")
    assert facts(said.body) == {"volume": 3_000_000, "ratingGroup": 10, "category": "internet"}
    (rated,) = said.body["ratedProductUsage"]
    assert rated["bucketValue"] == {"amount": 3_000_000, "units": "B"} and rated["isBilled"] is True
    assert rated["taxIncludedRatingAmount"] == {"value": 0, "unit": "KES"}
    assert (await api.get(said.headers["Location"])).body == said.body
    assert (await engine.subscriber(line.msisdn)).total(Unit.OCTETS) == 7_000_000


async def test_the_same_use_is_charged_once_also_when_it_comes_at_once(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    await credit(engine, line, 600, Unit.SECONDS)
    asked = use(line, "voice", "cdr-1", duration=61, ratingGroup=100) | {"description": "to a friend"}
    said = await asyncio.gather(*(api.post(PATH, asked) for _ in range(20)))
    assert len({one.raw for one in said}) == 1
    assert (said[0].status, said[0].body["description"]) == (201, "to a friend")
    other = await api.post(PATH, use(line, "voice", "cdr-1", duration=62, category="calls"))
    assert (other.status, other.body["code"]) == (409, "KEY_CONFLICT")
    assert (await engine.subscriber(line.msisdn)).total(Unit.SECONDS) == 539


async def test_a_use_beyond_what_is_left_takes_the_rest_and_never_more(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    await credit(engine, line, 2, Unit.MESSAGES)
    said = await api.post(PATH, use(line, "sms", count=5, category="texts"))
    assert (said.status, facts(said.body)["count"]) == (201, 5)
    assert said.body["ratedProductUsage"][0]["bucketValue"]["amount"] == 2
    assert (await engine.subscriber(line.msisdn)).total(Unit.MESSAGES) == 0
    assert await check_all(engine._database) == []


async def test_a_use_that_money_pays_tells_its_tariff_and_one_without_a_price_is_rejected(
    api: Api, engine: Engine
) -> None:
    line = await open_line(engine, money=1_000)
    said = await api.post(PATH, use(line, "voice", duration=90, category="calls"))
    (rated,) = said.body["ratedProductUsage"]
    assert rated["usageRatingTag"] == "voice"
    assert rated["taxIncludedRatingAmount"] == {"value": 6, "unit": "KES"}
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 400
    unknown = await api.post(PATH, use(line, "voice", duration=90, ratingGroup=77))
    assert (unknown.status, unknown.body["status"]) == (201, "rejected")
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 400


async def test_uses_are_listed_by_line_and_local_day(api: Api, engine: Engine) -> None:
    line, other = await open_line(engine), await open_line(engine)
    for count in (1, 2, 3):
        await api.post(PATH, use(line, "sms", count=count, ratingGroup=200))
    await api.post(PATH, use(other, "sms", count=9, ratingGroup=200))
    query = f"{PATH}?relatedParty.id={line.msisdn[1:]}"
    today = datetime.now(ZoneInfo("Africa/Nairobi")).date()
    for day, counts in ((today, [3, 2, 1]), (today - timedelta(days=1), [])):
        listed = await api.get(f"{query}&usageDate={day}")
        assert [facts(one)["count"] for one in listed.body] == counts
    first = await api.get(f"{query}&limit=2")
    following = first.headers["Link"].partition(">")[0].removeprefix("<")
    assert [facts(one)["count"] for one in first.body + (await api.get(following)).body] == [3, 2, 1]
    assert (await api.get(f"{query}&usageDate=yesterday")).status == 400
    assert (await api.get(f"{query}&usageDate=9999-12-31")).status in (200, 400)


@pytest.mark.parametrize(
    ("usage_type", "facts", "field"),
    [
        ("data", {}, "usageCharacteristic"),
        ("voice", {}, "usageCharacteristic"),
        ("voice", {"duration": -1}, "usageCharacteristic.duration"),
        ("voice", {"duration": 1.5}, "usageCharacteristic.duration"),
        ("voice", {"duration": "1e99"}, "usageCharacteristic.duration"),
        ("voice", {"duration": True}, "usageCharacteristic.duration"),
        ("voice", {"duration": {"a": 1}}, "usageCharacteristic.duration"),
        ("voice", {"duration": 1, "ratingGroup": 2**32}, "usageCharacteristic.ratingGroup"),
        ("voice", {"duration": 1}, "usageCharacteristic.ratingGroup"),
        ("voice", {"duration": 1, "category": "yoga"}, "usageCharacteristic.category"),
        ("monetary", {"count": 1}, "usageType"),
        ("walk", {"count": 1}, "usageType"),
    ],
)
async def test_a_bad_characteristic_is_named(
    *, api: Api, engine: Engine, usage_type: str, facts: dict, field: str
) -> None:
    line = await open_line(engine)
    said = await api.post(PATH, use(line, usage_type, **facts))
    assert said.status == 400 and said.body["message"].startswith(f"{field}"), said.body


async def test_a_characteristic_that_is_said_twice_is_refused(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    asked = use(line, "data", volume=1)
    asked["usageCharacteristic"] *= 2
    said = await api.post(PATH, asked)
    assert (said.status, said.body["message"].partition(":")[0]) == (400, "usageCharacteristic")


async def test_a_use_of_nobody_is_404_and_one_without_a_line_400(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    asked = use(line, "sms", count=1, ratingGroup=200)
    assert (await api.post(PATH, asked | {"relatedParty": [{"id": "+254799999999"}]})).status == 404
    assert (await api.post(PATH, asked | {"relatedParty": []})).status == 400
    for date in (
        "2026-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2001-01-01T00:00:00Z",
    ):
        said = await api.post(PATH, asked | {"usageDate": date})
        assert (said.status, said.body["message"].partition(":")[0]) == (400, "usageDate")


async def test_the_kinds_of_use_say_what_has_to_be_told(api: Api) -> None:
    listed = await api.get(f"{USAGES}/usageSpecification")
    assert [one["id"] for one in listed.body] == ["data", "voice", "sms"]
    for one in listed.body:
        assert (await api.get(one["href"])).body == one
    assert (await api.get(f"{USAGES}/usageSpecification/walk")).status == 404
    async with Api(api.base, READ_KEY) as reader:
        assert (await reader.get(f"{USAGES}/usageSpecification")).status == 403


async def test_a_use_that_is_told_later_stands_under_its_own_day(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    await credit(engine, line, 10_000_000, Unit.OCTETS)
    happened = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    made = await api.post(PATH, use(line, "data", volume=1_000_000) | {"usageDate": happened.isoformat()})
    assert datetime.fromisoformat(made.body["usageDate"]) == happened
    zone = ZoneInfo(engine.operator.timezone)
    days = [happened.astimezone(zone).date(), datetime.now(zone).date()]
    listed = [await api.get(f"{PATH}?relatedParty.id={line.msisdn[1:]}&usageDate={day}") for day in days]
    assert [[one["id"] for one in page.body] for page in listed] == [[made.body["id"]], []]
    (told,) = await engine.usage.usage_history(line)
    assert told.day == days[0]


async def test_uses_from_files_are_listed_with_the_others(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    await credit(engine, line, 10_000_000, Unit.OCTETS)
    await engine.mediation.import_usage(usage_file([record(line, "a", 3_000_000)]))
    (listed,) = (await api.get(f"{PATH}?relatedParty.id={line.msisdn[1:]}")).body
    assert (listed["usageType"], listed["status"]) == ("data", "rated")
    assert facts(listed)["volume"] == 3_000_000
    begins = THEN.astimezone(ZoneInfo(engine.operator.timezone)).date()
    assert datetime.fromisoformat(listed["usageDate"]).astimezone(ZoneInfo(engine.operator.timezone)).date() == begins
    assert (await api.get(listed["href"])).body == listed
