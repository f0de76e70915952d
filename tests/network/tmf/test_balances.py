"""TMF654 over real HTTP: buckets and balances read, held; history; who may."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import LineStatus, Purchase, Unit
from tests.engine.shop import asking, credit, next_msisdn, open_line
from tests.network.api import READ_KEY, Api
from tests.network.nchf.network import ROOT, group, opening
from tests.network.tmf.system import BALANCES, action, exact, of


async def test_a_lines_buckets_are_listed_in_tmf_words_with_or_without_plus(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=15_050)
    await engine.post(asking(Purchase, line, product="data_day_100mb", price=2_000))
    for number in (line.msisdn, line.msisdn[1:], f" {line.msisdn[1:]}"):
        said = await api.get(of("bucket", number))
        assert (said.status, said.headers["X-Total-Count"]) == (200, "2")
        by_type = {one["usageType"]: one for one in said.body}
        assert set(by_type) == {"monetary", "data"}
        data, money = by_type["data"], by_type["monetary"]
        assert data["remainingValue"] == {"amount": 100_000_000, "units": "B"}
        assert data["reservedValue"] == {"amount": 0, "units": "B"}
        assert (data["name"], data["status"], data["@type"]) == ("100 MB 1 day", "active", "Bucket")
        assert data["product"][0]["id"] == "data_day_100mb"
        assert data["validFor"]["endDateTime"] > data["validFor"]["startDateTime"]
        assert money["remainingValue"] == {"amount": 130.5, "units": "KES"}
        assert money["logicalResource"] == [{"id": line.msisdn, "name": "MSISDN"}]
    assert exact(said.raw, "remainingValue") in (Decimal(100_000_000), Decimal("130.50"))


async def test_a_bucket_is_found_by_the_id_that_it_was_listed_with(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=5_000)
    (listed,) = (await api.get(of("bucket", line.msisdn))).body
    assert (await api.get(listed["href"])).body == listed
    for wrong in (listed["id"][:-1] + ("A" if listed["id"][-1] != "A" else "B"), "1", "..", "%20"):
        assert (await api.get(f"{BALANCES}/bucket/{wrong}")).status == 404


async def test_the_bucket_of_one_kind_of_resource_is_not_taken_for_another(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=5_000)
    (listed,) = (await api.get(of("bucket", line.msisdn))).body
    for path in ("topupBalance", "balanceActionHistory", "accumulatedBalance", "reserveBalance"):
        assert (await api.get(f"{BALANCES}/{path}/{listed['id']}")).status == 404


async def test_fields_choose_attributes_and_pages_lead_through_a_list(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=50_000)
    for product, price in (("data_day_100mb", 2_000), ("voice_day_30min", 2_000), ("sms_week_200", 3_000)):
        assert (await engine.post(asking(Purchase, line, product=product, price=price))).ok
    said = await api.get(of("bucket", line.msisdn, fields="remainingValue,usageType"))
    assert {frozenset(one) for one in said.body} == {frozenset({"id", "href", "remainingValue", "usageType"})}
    assert all(isinstance(one["remainingValue"]["amount"], int | float) for one in said.body)
    seen, path = [], of("bucket", line.msisdn, limit="3")
    while path:
        page = await api.get(path)
        seen += [one["id"] for one in page.body]
        path = page.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert len(seen) == len(set(seen)) == 4
    only = await api.get(of("bucket", line.msisdn, usageType="voice"))
    assert [one["usageType"] for one in only.body] == ["voice"]


async def test_a_list_holds_those_whose_attributes_have_the_values_that_are_asked_for(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=50_000)
    for product, price in (("data_day_100mb", 2_000), ("voice_day_30min", 2_000)):
        assert (await engine.post(asking(Purchase, line, product=product, price=price))).ok

    async def listed(path: str, **wanted: str) -> list[str]:
        said = await api.get(of(path, line.msisdn, **wanted))
        assert (said.status, said.headers["X-Total-Count"]) == (200, str(len(said.body)))
        return [one["usageType"] for one in said.body]

    assert await listed("bucket", status="suspended") == []
    assert len(await listed("bucket", status="suspended,active")) == 3
    assert await listed("bucket", **{"remainingValue.units": "B"}) == ["data"]
    assert await listed("bucket", **{"product.id": "voice_day_30min", "status": "active"}) == ["voice"]
    assert await listed("bucket", nothing="such") == []
    assert await listed("balanceActionHistory", status="failed") == []
    assert len(await listed("balanceActionHistory", status="completed")) == 3


async def test_accumulated_balances_are_the_sums_of_the_buckets(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=50_000)
    for _ in range(2):
        await engine.post(asking(Purchase, line, product="data_day_100mb", price=2_000))
    said = {one["name"]: one for one in (await api.get(of("accumulatedBalance", line.msisdn))).body}
    assert said["data"]["totalBalance"] == {"amount": 200_000_000, "units": "B"}
    assert len(said["data"]["bucket"]) == 2 and len(said["monetary"]["bucket"]) == 1
    assert (await api.get(said["data"]["href"])).body == said["data"]


async def test_balances_are_listed_of_the_kinds_that_are_asked_for(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=50_000)
    for product, price in (("data_day_100mb", 2_000), ("voice_day_30min", 2_000)):
        assert (await engine.post(asking(Purchase, line, product=product, price=price))).ok
    for path in ("bucket", "accumulatedBalance"):
        for kinds in (["data"], ["data", "voice"]):
            said = await api.get(of(path, line.msisdn, usageType=",".join(kinds)))
            assert sorted(one["usageType"] for one in said.body) == kinds
        wrong = await api.get(of(path, line.msisdn, usageType="data,fuel"))
        assert (wrong.status, wrong.body["message"].partition(":")[0]) == (400, "usageType")


async def test_what_is_held_is_not_free_until_it_is_cancelled_once(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    await credit(engine, line, 10_000_000, Unit.OCTETS)
    path, headers = f"{BALANCES}/reserveBalance", {"Idempotency-Key": "r1"}
    asked = action(line, "data", 2, "MB")
    held = await api.post(path, asked, headers=headers)
    assert (held.status, held.body["status"]) == (201, "completed")
    assert held.body["amount"] == {"amount": 2_000_000, "units": "B"}
    assert held.body["validFor"]["endDateTime"] > held.body["confirmationDate"]
    assert (await api.post(path, asked, headers=headers)).raw == held.raw
    (bucket,) = (await api.get(of("bucket", line.msisdn, usageType="data"))).body
    assert bucket["reservedValue"]["amount"] == 2_000_000 and bucket["remainingValue"]["amount"] == 8_000_000
    assert (await api.get(held.body["href"])).body["status"] == "completed"
    held_now = await api.get(of("reserveBalance", line.msisdn))
    assert (held_now.status, [one["id"] for one in held_now.body]) == (200, [held.body["id"]])
    for _ in range(2):
        let = await api.ask("PATCH", held.body["href"], {"status": "cancelled", "reason": "not used"})
        assert (let.status, let.body["status"]) == (200, "cancelled")
    assert (await api.get(of("reserveBalance", line.msisdn))).body == []
    assert (await api.get(held.body["href"])).body["status"] == "cancelled"
    assert (await engine.subscriber(line.msisdn)).total(Unit.OCTETS) == 10_000_000
    assert await check_all(engine._database) == []


async def test_nothing_is_held_where_nothing_is_left_and_money_is_not_held_by_itself(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=1_000)
    path = f"{BALANCES}/reserveBalance"
    none = await api.post(path, action(line, "data", 2, "MB"))
    assert (none.status, none.body["code"]) == (409, "QUOTA_LIMIT_REACHED")
    money = await api.post(path, action(line, "monetary", 2, "KES"))
    assert (money.status, money.body["message"].partition(":")[0]) == (400, "usageType")
    assert (await api.ask("PATCH", f"{path}/x", {"status": "cancelled"})).status == 404


async def test_the_history_tells_everything_page_after_page_without_gap(api: Api, engine: Engine) -> None:
    line = await open_line(engine)
    path = f"{BALANCES}/topupBalance"
    for amount in range(1, 8):
        assert (await api.post(path, action(line, "monetary", amount, description=f"top-up {amount}"))).status == 201
    await credit(engine, line, 100)
    # What a session asks for and does not use changes nothing: it is no line of a history.
    assert (await api.post(ROOT, opening(line, group(wanted={"time": 60})))).status == 201
    for listing, count in (("topupBalance", 7), ("balanceActionHistory", 8)):
        seen, following = [], of(listing, line.msisdn, limit="3")
        while following:
            page = await api.get(following)
            assert page.status == 200 and len(page.body) <= 3
            assert page.headers["X-Total-Count"] == str(count)
            seen += page.body
            following = page.headers.get("Link", "").partition(">")[0].removeprefix("<")
        assert len({one["id"] for one in seen}) == len(seen) == count
        assert [one["confirmationDate"] for one in seen] == sorted((o["confirmationDate"] for o in seen), reverse=True)
        for one in seen[:2]:
            assert (await api.get(one["href"])).body == one


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=201", "offset=-1", "offset=99999999999", "after=zzz", "after=%C3%A4"]
)
async def test_a_page_that_is_none_is_400(api: Api, engine: Engine, query: str) -> None:
    line = await open_line(engine)
    said = await api.get(f"{of('balanceActionHistory', line.msisdn)}&{query}")
    assert said.status == 400 and said.body["message"].partition(":")[0] == query.partition("=")[0]


async def test_an_unknown_line_is_404_and_what_is_no_number_400(api: Api) -> None:
    for path in ("bucket", "accumulatedBalance", "balanceActionHistory", "topupBalance"):
        assert (await api.get(of(path, "+254799999999"))).status == 404
        for number in ("", "x", "+491701234567"):
            assert (await api.get(of(path, number))).status == 400
        assert (await api.get(f"{BALANCES}/{path}")).status == 400


async def test_a_barred_line_shows_as_suspended_and_gives_nothing(api: Api, engine: Engine) -> None:
    line, other = await open_line(engine, money=1_000), await open_line(engine)
    await engine.accounts.set_status(line, LineStatus.BARRED, reason="test", by="test")
    (bucket,) = (await api.get(of("bucket", line.msisdn))).body
    assert bucket["status"] == "suspended"
    gift = action(line, "monetary", 1, receiverLogicalResource={"id": other.msisdn})
    said = await api.post(f"{BALANCES}/transferBalance", gift)
    assert (said.status, said.body["code"]) == (403, "LINE_BARRED")


async def test_reading_needs_a_right_and_changing_another(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=1_000)
    async with Api(api.base, READ_KEY) as reader, Api(api.base, None) as nobody:
        assert (await reader.get(of("bucket", line.msisdn))).status == 200
        denied = await reader.post(f"{BALANCES}/topupBalance", action(line, "monetary", 1))
        assert (denied.status, denied.body["code"]) == (403, "FORBIDDEN")
        unknown = await nobody.get(of("bucket", line.msisdn))
        assert (unknown.status, unknown.body["code"]) == (401, "UNAUTHORIZED")
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 1_000


async def test_of_a_shared_account_the_owners_history_tells_all_and_a_members_their_own(
    api: Api, engine: Engine
) -> None:
    owner = await open_line(engine, money=10_000)
    child = await engine.create_line(next_msisdn(), account=owner.account, status=LineStatus.ACTIVE)
    for line, product, price in ((owner, "data_day_100mb", 2_000), (child, "sms_week_200", 3_000)):
        assert (await engine.post(asking(Purchase, line, product=product, price=price))).ok
    told = [(await api.get(of("balanceActionHistory", line.msisdn))).body for line in (owner, child)]
    assert [len(one) for one in told] == [3, 1]
    (own,) = told[1]
    assert (await api.get(own["href"])).body["id"] == own["id"]


async def test_a_product_that_is_renamed_while_the_server_runs_is_named_so_at_once(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=15_050)
    await engine.post(asking(Purchase, line, product="data_day_100mb", price=2_000))
    operator = engine.operator
    renamed = [
        one.model_copy(update={"name": {**one.name, "en": "Morning data"}}) if one.code == "data_day_100mb" else one
        for one in operator.products
    ]
    operator.adopt(operator.model_copy(update={"products": tuple(renamed)}))
    said = {one["usageType"]: one for one in (await api.get(of("bucket", line.msisdn))).body}
    assert said["data"]["name"] == said["data"]["product"][0]["name"] == "Morning data"


@pytest.mark.parametrize(("text", "status"), [(r"\u0000", 400), (r"a\\\u0000", 400), (r"\\u0000", 201), ("é", 201)])
async def test_a_text_that_cannot_be_kept_is_refused_before_anything_is_asked(
    api: Api, engine: Engine, text: str, status: int
) -> None:
    line = await open_line(engine)
    body = '{"amount": {"amount": 5}, "usageType": "monetary", "logicalResource": [{"id": "%s"}], "reason": "%s"}'
    said = await api.ask("POST", f"{BALANCES}/topupBalance", (body % (line.msisdn, text)).encode())
    assert said.status == status, said.body
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == (500 if status == 201 else 0)
