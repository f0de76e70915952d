"""TMF654 over real HTTP: what is topped up and corrected, once whatever is sent again; amounts and their ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import Unit
from tests.engine.shop import open_line, sell_vouchers
from tests.network.api import Api
from tests.network.tmf.system import BALANCES, action, of


async def test_a_voucher_tops_up_once_whatever_is_sent_again(api: Api, engine: Engine) -> None:
    line, other = await open_line(engine), await open_line(engine)
    (number,) = await sell_vouchers(engine, 5_000)
    asked = action(line, "monetary", voucher=number)
    headers = {"Idempotency-Key": "topup-1"}
    first = await api.post(f"{BALANCES}/topupBalance", asked, headers=headers)
    again = await api.post(f"{BALANCES}/topupBalance", asked, headers=headers)
    assert first.status == again.status == 201 and first.raw == again.raw
    assert (first.body["status"], first.body["@type"]) == ("completed", "TopupBalance")
    assert first.body["amount"] == {"amount": 50, "units": "KES"}
    assert number not in first.raw.decode()
    assert (await api.get(first.headers["Location"])).body == first.body
    used = await api.post(f"{BALANCES}/topupBalance", action(other, "monetary", voucher=number))
    assert (used.status, used.body["code"], used.body["status"]) == (409, "VOUCHER_REDEEMED", "409")
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 5_000
    assert (await engine.subscriber(other.msisdn)).total(Unit.MONEY) == 0


async def test_one_key_sent_fifty_times_at_once_is_one_top_up(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    asked = action(line, "monetary", 10, "KES", reason="campaign")
    path, headers = f"{BALANCES}/topupBalance", {"Idempotency-Key": "k"}
    said = await asyncio.gather(*(api.post(path, asked, headers=headers) for _ in range(50)))
    assert {one.status for one in said} == {201} and len({one.raw for one in said}) == 1
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 1_000


async def test_the_same_key_with_another_amount_is_a_conflict_and_another_path_is_another_intent(
    api: Api, engine: Engine
) -> None:
    line = await open_line(engine)
    headers = {"Idempotency-Key": "k"}
    topup, adjust = f"{BALANCES}/topupBalance", f"{BALANCES}/adjustBalance"
    assert (await api.post(topup, action(line, "monetary", 10), headers=headers)).status == 201
    other = await api.post(topup, action(line, "monetary", 11), headers=headers)
    assert (other.status, other.body["code"]) == (409, "KEY_CONFLICT")
    assert (await api.post(adjust, action(line, "monetary", 10), headers=headers)).status == 201
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 2_000


@pytest.mark.parametrize(
    ("usage_type", "amount", "units", "unit", "held"),
    [
        ("monetary", "12.34", "KES", Unit.MONEY, 1_234),
        ("monetary", 0.07, None, Unit.MONEY, 7),
        ("monetary", 1e2, "KES", Unit.MONEY, 10_000),
        ("data", "1.5", "GB", Unit.OCTETS, 1_500_000_000),
        ("data", 1, "GiB", Unit.OCTETS, 2**30),
        ("data", 77, None, Unit.OCTETS, 77),
        ("voice", 2.5, "minutes", Unit.SECONDS, 150),
        ("sms", 20, "SMS", Unit.MESSAGES, 20),
    ],
)
async def test_amounts_are_converted_exactly(
    *, api: Api, engine: Engine, usage_type: str, amount: object, units: str | None, unit: Unit, held: int
) -> None:
    line = await open_line(engine)
    said = await api.post(f"{BALANCES}/topupBalance", action(line, usage_type, amount, units))
    assert said.status == 201
    assert (await engine.subscriber(line.msisdn)).total(unit) == held


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (action("LINE", "monetary", "0.001", "KES"), "amount.amount"),
        (action("LINE", "monetary", 1, "USD"), "amount.units"),
        (action("LINE", "monetary", 0, "KES"), "amount.amount"),
        (action("LINE", "monetary", -1, "KES"), "amount.amount"),
        (action("LINE", "monetary", "1e400", "KES"), "amount.amount"),
        (action("LINE", "monetary", "1e999999999", "KES"), "amount.amount"),
        (action("LINE", "monetary", "-1e999999999", "KES"), "amount.amount"),
        (action("LINE", "monetary", "NaN", "KES"), "amount.amount"),
        (action("LINE", "monetary", "x", "KES"), "amount.amount"),
        (action("LINE", "data", 1, "KES"), "amount.units"),
        (action("LINE", "data", "0.5", "B"), "amount.amount"),
        (action("LINE", "fuel", 1), "usageType"),
        (action("LINE", "monetary"), "amount"),
        (action("LINE", "monetary", voucher="abc"), "voucher"),
        (action("12", "monetary", 1), "logicalResource[0].id"),
        ({"usageType": "monetary", "amount": {"amount": 1}}, "logicalResource"),
        (action("LINE", "monetary", 1, bucket={"id": "nobody's"}), "bucket.id"),
        (action("LINE", "monetary", 1, partyAccount={"id": "0199d5e5-7e4e-7000-8000-000000000000"}), "partyAccount.id"),
    ],
)
async def test_a_bad_attribute_is_named_and_nothing_is_credited(
    api: Api, engine: Engine, asked: dict, field: str
) -> None:
    line = await open_line(engine)
    resource = [{"id": line.msisdn} if one["id"] == "LINE" else one for one in asked.get("logicalResource", [])]
    said = await api.post(f"{BALANCES}/topupBalance", asked | {"logicalResource": resource})
    assert said.status in (400, 404) and said.body["message"].startswith(f"{field}: "), said.body
    assert said.body["status"] == str(said.status) and said.body["code"] and said.body["reason"]
    assert not (await engine.subscriber(line.msisdn)).total(Unit.MONEY)


@pytest.mark.parametrize("usage_type", ["data", "monetary"])
async def test_what_is_credited_for_a_time_ends_with_it_and_lasts_no_longer_for_what_comes_after(
    api: Api, engine: Engine, usage_type: str
) -> None:
    line = await open_line(engine)
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    path, asked = f"{BALANCES}/topupBalance", action(line, usage_type, 5)
    for period in (
        {"endDateTime": ends.isoformat()},
        {"endDateTime": ends.astimezone(timezone(timedelta(hours=3))).isoformat()},
    ):
        assert (await api.post(path, asked | {"validFor": period})).status == 201
    assert (await api.post(path, asked)).status == 201
    held = [(one.amount, one.expires_at == ends) for one in (await engine.subscriber(line.msisdn)).buckets]
    each = 500 if usage_type == "monetary" else 5
    assert held == [(2 * each, True), (each, False)]
    assert await check_all(engine._database) == []


@pytest.mark.parametrize(
    ("period", "field"),
    [
        ({"endDateTime": "2020-01-01T00:00:00Z"}, "validFor.endDateTime"),
        ({"endDateTime": "9999-12-31T23:59:59-14:00"}, "validFor.endDateTime"),
        ({"endDateTime": "9999-12-31T23:59:59Z"}, "validFor.endDateTime"),
        ({"endDateTime": "2099-01-01T00:00:00"}, "validFor.endDateTime"),
        ({"startDateTime": "2099-01-01T00:00:00Z"}, "validFor.startDateTime"),
    ],
)
async def test_a_time_that_is_over_or_has_yet_to_begin_credits_nothing(
    api: Api, engine: Engine, period: dict[str, str], field: str
) -> None:
    line = await open_line(engine)
    for path in ("topupBalance", "adjustBalance"):
        said = await api.post(f"{BALANCES}/{path}", action(line, "data", 5, validFor=period))
        assert (said.status, said.body["message"].partition(":")[0]) == (400, field)
    assert (await engine.subscriber(line.msisdn)).buckets == ()


async def test_a_correction_may_deduct_and_never_below_zero(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=1_000)
    path = f"{BALANCES}/adjustBalance"
    done = await api.post(path, action(line, "monetary", "-4.50", "KES", reason="complaint 12"))
    assert (done.status, done.body["reason"]) == (201, "complaint 12")
    assert done.body["amount"] == {"amount": -4.5, "units": "KES"}
    (impact,) = done.body["impactedBucket"]
    assert (impact["before"]["amount"], impact["after"]["amount"]) == (10, 5.5)
    low = await api.post(path, action(line, "monetary", -6, "KES"))
    assert (low.status, low.body["code"]) == (409, "BALANCE_TOO_LOW")
    assert "missing 0.50 KES" in low.body["message"]
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 550


async def test_a_bucket_alone_names_the_line(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=1_000)
    (bucket,) = (await api.get(of("bucket", line.msisdn))).body
    asked = {"usageType": "monetary", "amount": {"amount": 1}, "bucket": {"id": bucket["id"]}}
    said = await api.post(f"{BALANCES}/topupBalance", asked | {"partyAccount": {"id": "crm-4711"}})
    assert said.status == 201 and said.body["bucket"]["id"] == bucket["id"]
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 1_100
    other = await open_line(engine)
    mixed = await api.post(f"{BALANCES}/topupBalance", asked | {"logicalResource": [{"id": other.msisdn}]})
    assert (mixed.status, mixed.body["message"].partition(":")[0]) == (400, "bucket.id")
