"""Credit control over Gy, asked for by python-diameter's own node."""

from __future__ import annotations

from typing import Any

import pytest

from engine.words import LineStatus, Subscriber, Unit
from tests.engine.shop import credit, open_line
from tests.network.diameter.conftest import IMSI, MB, House, Pcef

INITIAL, UPDATE, TERMINATION, EVENT = 1, 2, 3, 4


def of(line: Subscriber, session: str = "pgw.test.example;1;1") -> dict[str, Any]:
    return {"session": session, "subscriber": [[0, line.msisdn.removeprefix("+")]]}


def service(group: int = 10, **more: Any) -> dict[str, Any]:
    return {"group": group, **more}


def octets(total: int) -> dict[str, int]:
    return {"cc_total_octets": total}


async def test_a_session_is_granted_charged_and_ended(house: House, pcef: Pcef, line: Subscriber) -> None:
    who = of(line)
    opened = await pcef.ask(type=INITIAL, number=0, services=[service(asks={})], **who)
    (granted,) = opened["services"]
    assert (opened["result"], granted["result"], granted["group"]) == (2001, 2001, 10)
    assert 0 < granted["octets"] == await house.held(line)
    assert 0 < granted["validity"] <= house.engine.operator.quota.validity_seconds
    assert 0 < granted["threshold"] < granted["octets"]
    updated = await pcef.ask(type=UPDATE, number=1, services=[service(asks={}, used=octets(3 * MB))], **who)
    assert updated["services"][0]["result"] == 2001
    assert await house.left(line) == 97 * MB
    ended = await pcef.ask(type=TERMINATION, number=2, services=[service(used=octets(2 * MB))], **who)
    assert ended["result"] == 2001
    assert await house.left(line) == 95 * MB and await house.held(line) == 0


async def test_directions_and_seconds_beside_octets_are_octets(house: House, pcef: Pcef, line: Subscriber) -> None:
    used = {"cc_time": 30, "cc_total_octets": 5 * MB, "cc_input_octets": 1 * MB, "cc_output_octets": 4 * MB}
    await pcef.ask(type=TERMINATION, number=1, services=[service(used=used)], **of(line))
    assert await house.left(line) == 95 * MB


async def test_the_last_report_of_a_call_is_charged_in_seconds_whatever_else_it_measured(
    house: House, pcef: Pcef, line: Subscriber
) -> None:
    await credit(house.engine, line, 90, Unit.SECONDS)
    octets_before = await house.left(line)
    await pcef.ask(type=INITIAL, number=0, services=[service(asks={"cc_time": 60})], **of(line))
    used = {"cc_time": 60, "cc_total_octets": 5000}
    ended = await pcef.ask(type=TERMINATION, number=1, services=[service(used=used)], **of(line))
    assert ended["result"] == 2001
    assert (await house.left(line, Unit.SECONDS), await house.left(line)) == (30, octets_before)


async def test_a_retransmission_gets_the_stored_answer_and_is_charged_once(
    house: House, pcef: Pcef, line: Subscriber
) -> None:
    asked = of(line) | {"type": UPDATE, "number": 1, "services": [service(asks={}, used=octets(3 * MB))]}
    first = await pcef.ask(**asked)
    again = await pcef.ask(**asked, again=True)
    assert first["bytes"] == again["bytes"]
    assert await house.left(line) == 97 * MB


async def test_one_number_with_another_content_is_refused_without_effect(
    house: House, pcef: Pcef, line: Subscriber
) -> None:
    await pcef.ask(type=UPDATE, number=1, services=[service(used=octets(3 * MB))], **of(line))
    other = await pcef.ask(type=UPDATE, number=1, services=[service(used=octets(4 * MB))], **of(line))
    assert other["result"] == 5012
    assert await house.left(line) == 97 * MB


async def test_the_last_quota_says_so_and_then_there_is_none(house: House, pcef: Pcef) -> None:
    poor = await open_line(house.engine)
    await credit(house.engine, poor, 500_000, Unit.OCTETS)
    last = await pcef.ask(type=INITIAL, number=0, services=[service(asks={})], **of(poor))
    assert (last["services"][0]["octets"], last["services"][0]["final"]) == (500_000, 0)
    over = await pcef.ask(type=UPDATE, number=1, services=[service(asks={}, used=octets(500_000))], **of(poor))
    assert over["services"][0]["result"] == 4012 and over["services"][0]["octets"] is None
    assert await house.left(poor) == 0


async def test_each_service_has_its_own_result(house: House, pcef: Pcef, line: Subscriber) -> None:
    asked = [service(group, asks={}) for group in (10, 99, 77)]
    answer = await pcef.ask(type=INITIAL, number=0, services=asked, **of(line))
    assert [one["result"] for one in answer["services"]] == [2001, 4011, 5031]


async def test_a_line_that_may_not_use_anything_is_denied(house: House, pcef: Pcef) -> None:
    paused = await open_line(house.engine, status=LineStatus.SUSPENDED)
    answer = await pcef.ask(type=INITIAL, number=0, services=[service(asks={})], **of(paused))
    assert 4010 in (answer["result"], *(one["result"] for one in answer["services"]))


async def test_a_line_is_found_by_its_imsi(house: House, pcef: Pcef, line: Subscriber) -> None:
    asked = [service(used=octets(MB))]
    await pcef.ask(session="s;1", type=TERMINATION, number=0, services=asked, subscriber=[[2, "x"], [1, IMSI]])
    assert await house.left(line) == 99 * MB


async def test_an_update_without_subscriber_belongs_to_the_session_that_was_opened(
    house: House, pcef: Pcef, line: Subscriber
) -> None:
    await pcef.ask(type=INITIAL, number=0, services=[service(asks={})], **of(line))
    ended = await pcef.ask(
        session="pgw.test.example;1;1", type=TERMINATION, number=1, services=[service(used=octets(MB))]
    )
    assert ended["result"] == 2001
    assert await house.left(line) == 99 * MB


async def test_an_update_after_the_end_is_5002_and_what_it_reports_is_charged(
    house: House, pcef: Pcef, line: Subscriber
) -> None:
    await pcef.ask(type=INITIAL, number=0, services=[service(asks={})], **of(line))
    await pcef.ask(type=TERMINATION, number=1, services=[service(used=octets(MB))], **of(line))
    late = await pcef.ask(type=UPDATE, number=2, services=[service(used=octets(MB), asks={})], **of(line))
    assert (late["result"], late["services"]) == (5002, [])
    assert await house.left(line) == 98 * MB


async def test_a_subscriber_that_nobody_knows_is_5030(pcef: Pcef) -> None:
    answer = await pcef.ask(session="s", type=INITIAL, number=0, subscriber=[[0, "254799999999"]])
    assert answer["result"] == 5030


async def test_a_request_that_does_not_say_whose_it_is_names_what_is_missing(pcef: Pcef) -> None:
    answer = await pcef.ask(session="s", type=INITIAL, number=0)
    assert (answer["result"], answer["failed"]) == (5005, [443])


@pytest.mark.parametrize("kind", [UPDATE, TERMINATION])
async def test_a_later_request_of_a_session_that_nobody_knows_is_5002(pcef: Pcef, kind: int) -> None:
    answer = await pcef.ask(session="nobody's", type=kind, number=7)
    assert (answer["result"], answer["type"], answer["number"]) == (5002, kind, 7)


async def test_a_refusal_says_which_request_it_refuses(pcef: Pcef, line: Subscriber) -> None:
    unknown = await pcef.ask(session="s", type=INITIAL, number=4, subscriber=[[0, "254799999999"]])
    assert (unknown["result"], unknown["type"], unknown["number"]) == (5030, INITIAL, 4)
    refund = await pcef.ask(type=EVENT, number=5, action=1, **of(line))
    assert (refund["result"], refund["type"], refund["number"]) == (5004, EVENT, 5)


async def test_an_event_is_charged_at_once_or_not_at_all(house: House, pcef: Pcef, line: Subscriber) -> None:
    paid = await pcef.ask(type=EVENT, number=0, action=0, services=[service(asks=octets(60 * MB))], **of(line, "e1"))
    assert paid["services"][0]["result"] == 2001
    refused = await pcef.ask(type=EVENT, number=0, action=0, services=[service(asks=octets(60 * MB))], **of(line, "e2"))
    assert refused["services"][0]["result"] == 4012
    assert await house.left(line) == 40 * MB and await house.held(line) == 0


@pytest.mark.parametrize(("wrong", "failed"), [({"type": 9}, 416), ({"type": EVENT, "action": 2}, 436)])
async def test_a_value_that_is_not_served_is_named(
    pcef: Pcef, line: Subscriber, wrong: dict[str, int], failed: int
) -> None:
    answer = await pcef.ask(**of(line) | {"number": 0} | wrong)
    assert (answer["result"], answer["failed"]) == (5004, [failed])
