"""Charging sessions over Nchf_ConvergedCharging: quotas, reports, releases, retransmissions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import LineStatus, Unit
from tests.engine.mediation.files import record, usage_file
from tests.engine.shop import credit, open_line
from tests.network.api import Api
from tests.network.nchf.network import (
    MB,
    ROOT,
    asking,
    data_line,
    group,
    left,
    msisdn,
    only,
    opening,
    resource,
)


async def test_a_session_is_granted_charged_and_released_to_the_octet(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 100 * MB)
    created = await api.post(ROOT, opening(line, group(10, wanted={})))
    ref = resource(created)
    granted = only(created)
    assert (granted["ratingGroup"], granted["resultCode"]) == (10, "SUCCESS")
    quota = granted["grantedUnit"]["totalVolume"]
    assert 0 < quota <= 50 * MB and granted["volumeQuotaThreshold"] < quota
    assert granted["validityTime"] == 600 and granted["quotaHoldingTime"] == 300
    assert created.body["invocationSequenceNumber"] == 0 and created.body["invocationTimeStamp"]
    assert await left(engine, line) == 100 * MB - quota

    update = await api.post(f"{ref}/update", asking(1, group(10, wanted={}, uplinkVolume=MB, downlinkVolume=2 * MB)))
    assert update.status == 200 and only(update)["resultCode"] == "SUCCESS"
    assert await left(engine, line) == 97 * MB - only(update)["grantedUnit"]["totalVolume"]

    released = await api.post(f"{ref}/release", asking(2, group(10, totalVolume=MB)))
    assert (released.status, released.raw) == (204, b"")
    assert await left(engine, line) == 96 * MB
    assert await check_all(engine._database) == []


async def test_a_line_is_found_by_imsi_by_msisdn_and_by_the_gpsi_of_its_session(api: Api, engine: Engine) -> None:
    line = await data_line(engine, MB, imsi="639020000123456")
    named = opening("nai-home@realm.example", group(wanted={}))
    named["pDUSessionChargingInformation"]["userInformation"] = {"servedGPSI": msisdn(line)}
    anonymous = opening(line, group(wanted={}))
    del anonymous["subscriberIdentifier"]
    anonymous["pDUSessionChargingInformation"]["userInformation"] = {"servedGPSI": msisdn(line)}
    for asked in (opening("imsi-639020000123456", group(wanted={})), opening(line, group(wanted={})), named, anonymous):
        assert (await api.post(ROOT, asked)).status == 201


async def test_a_request_sent_again_gets_the_same_answer_and_charges_nothing_more(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 100 * MB)
    opened = opening(line, group(wanted={}))
    first = await api.post(ROOT, opened)
    second = await api.post(ROOT, opened | {"retransmissionIndicator": True})
    assert second.raw == first.raw and resource(second) == resource(first)
    report = asking(1, group(wanted={}, totalVolume=5 * MB))
    answers = [await api.post(f"{resource(first)}/update", report | again) for again in ({}, RETRANSMITTED)]
    assert answers[0].raw == answers[1].raw
    for _ in range(2):
        assert (await api.post(f"{resource(first)}/release", asking(2))).status == 204
    assert await left(engine, line) == 95 * MB


RETRANSMITTED = {"retransmissionIndicator": True}


async def test_fifty_retransmissions_at_once_charge_once(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 100 * MB)
    opened = opening(line, group(wanted={}))
    created = await asyncio.gather(*(api.post(ROOT, opened) for _ in range(50)))
    assert len({one.raw for one in created}) == 1 and len({resource(one) for one in created}) == 1
    report = asking(1, group(totalVolume=7 * MB))
    updates = await asyncio.gather(*(api.post(f"{resource(created[0])}/update", report) for _ in range(50)))
    assert {one.status for one in updates} == {200}
    assert await left(engine, line) == 93 * MB


async def test_twenty_sessions_of_one_line_never_hold_or_use_more_than_it_has(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 30 * MB)
    created = await asyncio.gather(*(api.post(ROOT, opening(line, group(wanted={}))) for _ in range(20)))
    grants = [only(one).get("grantedUnit", {}).get("totalVolume", 0) for one in created]
    assert 0 < sum(grants) <= 30 * MB
    assert {only(one)["resultCode"] for one in created} <= {"SUCCESS", "QUOTA_LIMIT_REACHED"}
    releases = await asyncio.gather(
        *(
            api.post(f"{resource(one)}/release", asking(1, group(totalVolume=grant)))
            for one, grant in zip(created, grants, strict=True)
        )
    )
    assert {one.status for one in releases} == {204}
    assert await left(engine, line) == 30 * MB - sum(grants)


async def test_a_sequence_number_with_another_content_is_a_conflict_without_effect(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 100 * MB)
    ref = resource(await api.post(ROOT, opening(line, group())))
    await api.post(f"{ref}/update", asking(1, group(totalVolume=MB)))
    other = await api.post(f"{ref}/update", asking(1, group(totalVolume=2 * MB)))
    assert (other.status, other.body["cause"]) == (400, "CHARGING_FAILED")
    assert [one["param"] for one in other.body["invalidParams"]] == ["invocationSequenceNumber"]
    assert other.headers["Content-Type"].startswith("application/problem+json")
    assert await left(engine, line) == 99 * MB


async def test_requests_that_are_all_numbered_zero_are_each_charged_once(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 100 * MB)
    created = await api.post(ROOT, opening(line, group(wanted={})))
    ref = resource(created)
    for _ in range(2):  # the same use as before, a moment later
        report = asking(0, group(wanted={}, totalVolume=5 * MB))
        answers = [await api.post(f"{ref}/update", report | again) for again in ({}, RETRANSMITTED)]
        assert answers[0].status == 200 and answers[0].raw == answers[1].raw
        assert answers[0].body["invocationSequenceNumber"] == 0 and "grantedUnit" in only(answers[0])
    last = asking(0, group(totalVolume=MB))
    assert [(await api.post(f"{ref}/release", last | again)).status for again in ({}, RETRANSMITTED)] == [204, 204]
    assert await left(engine, line) == 89 * MB


async def test_the_last_quota_says_so_and_after_it_there_is_none(api: Api, engine: Engine) -> None:
    line = await data_line(engine, MB // 2)
    created = await api.post(ROOT, opening(line, group(wanted={"totalVolume": 5 * MB})))
    assert only(created)["grantedUnit"] == {"totalVolume": MB // 2}
    assert only(created)["finalUnitIndication"] == {"finalUnitAction": "TERMINATE"}
    assert "volumeQuotaThreshold" not in only(created)
    update = await api.post(f"{resource(created)}/update", asking(1, group(wanted={}, totalVolume=MB // 2)))
    assert only(update) == {"ratingGroup": 10, "resultCode": "QUOTA_LIMIT_REACHED"}


async def test_voice_is_granted_in_seconds_and_messages_in_units(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    await credit(engine, line, 90, Unit.SECONDS)
    await credit(engine, line, 3, Unit.MESSAGES)
    created = await api.post(
        ROOT, opening(line, group(100, wanted={"time": 60}), group(200, wanted={"serviceSpecificUnits": 1}))
    )
    voice, texts = created.body["multipleUnitInformation"]
    assert voice["grantedUnit"] == {"time": 60} and "timeQuotaThreshold" in voice
    assert texts["grantedUnit"] == {"serviceSpecificUnits": 1}


async def test_free_traffic_needs_no_quota_and_an_unknown_kind_has_no_price(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    created = await api.post(ROOT, opening(line, group(30, wanted={}), group(77, wanted={})))
    free, unknown = created.body["multipleUnitInformation"]
    assert free == {"ratingGroup": 30, "resultCode": "QUOTA_MANAGEMENT_NOT_APPLICABLE"}
    assert unknown == {"ratingGroup": 77, "resultCode": "RATING_FAILED"}


async def test_what_is_measured_beside_the_quota_is_not_charged(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 10 * MB)
    await credit(engine, line, 600, Unit.SECONDS)
    ref = resource(await api.post(ROOT, opening(line, group(wanted={}))))
    await api.post(f"{ref}/update", asking(1, group(wanted={}, time=60, totalVolume=MB, uplinkVolume=MB)))
    assert (await api.post(f"{ref}/release", asking(2, group(time=5, totalVolume=MB)))).status == 204
    assert await left(engine, line) == 8 * MB
    assert (await engine.subscriber(line.msisdn)).total(Unit.SECONDS) == 600


async def test_an_idle_voice_session_goes_on_being_counted_in_seconds(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    await credit(engine, line, 90, Unit.SECONDS)
    ref = resource(await api.post(ROOT, opening(line, group(wanted={"time": 30}))))
    update = await api.post(f"{ref}/update", asking(1, group(wanted={}, time=0)))
    assert "time" in only(update)["grantedUnit"]


async def test_the_last_report_of_a_call_is_charged_in_seconds_whatever_else_it_measured(
    api: Api, engine: Engine
) -> None:
    line = await open_line(engine)
    await credit(engine, line, 90, Unit.SECONDS)
    await credit(engine, line, MB, Unit.OCTETS)
    ref = resource(await api.post(ROOT, opening(line, group(100, wanted={"time": 60}))))
    ended = await api.post(f"{ref}/release", asking(1, group(100, time=60, totalVolume=5000)))
    assert ended.status == 204
    after = await engine.subscriber(line.msisdn)
    assert (after.total(Unit.SECONDS), after.total(Unit.OCTETS)) == (30, MB)


async def test_a_container_twice_in_one_request_is_counted_once(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 10 * MB)
    ref = resource(await api.post(ROOT, opening(line, group())))
    container = {"localSequenceNumber": 7, "totalVolume": MB}
    twice = {"ratingGroup": 10, "usedUnitContainer": [container, container, container | {"localSequenceNumber": 8}]}
    await api.post(f"{ref}/update", asking(1, twice))
    assert await left(engine, line) == 8 * MB


async def test_an_immediate_event_is_charged_whole_or_not_at_all(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    await credit(engine, line, 1, Unit.MESSAGES)
    texts = []
    for text in range(2):
        asked = asking(0, group(wanted={"serviceSpecificUnits": 1}), subscriberIdentifier=msisdn(line))
        asked |= {"oneTimeEvent": True, "oneTimeEventType": "IEC", "sMSChargingInformation": {"messageReference": text}}
        asked["invocationTimeStamp"] = "2026-01-01T00:00:00Z" if text < 0 else asked["invocationTimeStamp"]
        texts.append(await api.post(ROOT, asked))
        again = await api.post(ROOT, asked | RETRANSMITTED)
        assert again.raw == texts[-1].raw
    assert [only(one)["resultCode"] for one in texts] == ["SUCCESS", "QUOTA_LIMIT_REACHED"]
    assert only(texts[0])["grantedUnit"] == {"serviceSpecificUnits": 1}
    assert (await engine.subscriber(line.msisdn)).total(Unit.MESSAGES) == 0


async def test_two_events_of_one_second_are_two(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    await credit(engine, line, 5, Unit.MESSAGES)
    asked = asking(0, group(wanted={"serviceSpecificUnits": 1}), subscriberIdentifier=msisdn(line), oneTimeEvent=True)
    for reference in ("one", "two"):
        said = await api.post(ROOT, asked | {"sMSChargingInformation": {"messageReference": reference}})
        assert only(said)["resultCode"] == "SUCCESS"
    assert (await engine.subscriber(line.msisdn)).total(Unit.MESSAGES) == 3


async def test_an_event_that_has_happened_is_charged_even_beyond_what_is_left(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    await credit(engine, line, 1, Unit.MESSAGES)
    asked = asking(0, group(serviceSpecificUnits=2), subscriberIdentifier=msisdn(line), oneTimeEvent=True)
    said = await api.post(ROOT, asked | {"oneTimeEventType": "PEC"})
    assert said.status == 201
    assert (await engine.subscriber(line.msisdn)).total(Unit.MESSAGES) == 0


async def test_use_told_after_the_release_is_charged_and_granted_nothing(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 10 * MB)
    ref = resource(await api.post(ROOT, opening(line, group(wanted={}))))
    await api.post(f"{ref}/release", asking(1))
    late = await api.post(f"{ref}/update", asking(2, group(wanted={}, totalVolume=MB)))
    assert (late.status, late.body["cause"]) == (404, "CHARGING_FAILED")
    assert await left(engine, line) == 9 * MB


async def test_a_barred_line_opens_nothing_and_what_it_used_before_is_charged(api: Api, engine: Engine) -> None:
    line = await data_line(engine, 10 * MB)
    ref = resource(await api.post(ROOT, opening(line, group(wanted={}))))
    await engine.accounts.set_status(line, LineStatus.BARRED, reason="test", by="test")
    barred = await api.post(ROOT, opening(line, group(wanted={})))
    assert (barred.status, barred.body["cause"]) == (403, "END_USER_REQUEST_DENIED")
    update = await api.post(f"{ref}/update", asking(1, group(wanted={}, totalVolume=MB)))
    assert only(update) == {"ratingGroup": 10, "resultCode": "END_USER_SERVICE_DENIED"}
    assert await left(engine, line) == 9 * MB


async def test_a_record_of_a_session_that_was_charged_here_is_found_by_its_charging_id(
    api: Api, engine: Engine
) -> None:
    line = await data_line(engine, 10 * MB)
    asked = opening(line, group())
    ref = resource(await api.post(ROOT, asked))
    assert (await api.post(f"{ref}/release", asking(1, group(totalVolume=3 * MB)))).status == 204
    called = str(asked["pDUSessionChargingInformation"]["chargingId"])
    told = record(line, called, 3 * MB, end=datetime.now(UTC).isoformat())
    file = await engine.mediation.import_usage(usage_file([told], interface="nchf"))
    assert (file.records, await left(engine, line)) == (1, 7 * MB)
