"""What is bought, given back, corrected, lost and prolonged: the rules at their edges, as pure decisions."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from engine.balances.rules import ADJUSTMENT, promised_end
from engine.balances.tables import AIRTIME
from engine.books.facts import OriginalFacts, Transfer
from engine.books.tables import Ledger
from engine.usage.facts import MeterFacts
from engine.usage.meters import day_of, month_of
from engine.words import Adjust, Bucket, Code, Expire, Extend, Purchase, Refund, Unit
from settings import Grant, Operator, Product
from tests.engine.deciding import MOMENT, NOW, asked, decided, held, known

PACK = Product(
    code="pack",
    name={},
    price=500,
    days=10,
    grants=(Grant(unit="octets", amount=100, categories=("social",)),),
    priority=7,
)
AN_HOUR = timedelta(hours=1)


@pytest.fixture
def shop(operator: Operator) -> Operator:
    """An operator that sells one product, of which nothing lives on."""
    policy = operator.policy.model_copy(update={"roll_over_times": 0})
    return operator.model_copy(update={"products": (PACK,), "policy": policy})


def airtime(amount: int, **more: object) -> Bucket:
    return held(Unit.MONEY, amount, product=AIRTIME, **more)


# -- purchases --------------------------------------------------------------------------------------------------------


def test_a_product_opens_a_bucket_for_its_category_in_its_own_turn(shop: Operator) -> None:
    case, answer = decided(shop, asked(Purchase, product="pack", price=500), known(airtime(500)))
    assert (answer.code, answer.details["balance"]) == (Code.OK, 0)
    (made,) = case.opened.values()
    assert (made.amount, made.priority, made.categories) == (100, 7, ("social",))
    assert made.expires_at == promised_end(NOW, 10, shop.timezone)


@pytest.mark.parametrize("shown", [499, 501])
def test_who_was_shown_another_price_buys_nothing(shop: Operator, shown: int) -> None:
    case, answer = decided(shop, asked(Purchase, product="pack", price=shown), known(airtime(1_000)))
    assert (answer.code, answer.details, case.transfers) == (Code.PRICE_CHANGED, {"price": 500}, [])


@pytest.mark.parametrize(("cap", "code"), [(500, Code.OK), (499, Code.CAP_REACHED)])
def test_a_product_is_bought_within_the_lines_own_limit(shop: Operator, cap: int, code: Code) -> None:
    meter = MeterFacts(Unit.MONEY, day_of(NOW, shop.timezone), 0, cap, month_of(NOW, shop.timezone), 0, None, None)
    facts = known(airtime(1_000), meters={Unit.MONEY: meter})
    assert decided(shop, asked(Purchase, product="pack", price=500), facts).answer.code == code


def test_what_ends_first_pays_first_then_what_is_older_and_last_what_never_ends(shop: Operator) -> None:
    endless, late, older, newer = (
        held(Unit.MONEY, 100, expires_at=None if hours is None else NOW + hours * AN_HOUR) for hours in (None, 9, 5, 5)
    )
    case, _ = decided(
        shop, asked(Purchase, product="pack", price=500), known(endless, late, older, newer, airtime(200))
    )
    assert [case.amount(one) for one in (endless, late, older, newer)] == [0, 0, 0, 0]
    spent = [moved.bucket_id for moved in case.transfers if moved.debit is Ledger.BALANCE]
    assert spent[:4] == [one.bucket_id for one in (older, newer, late, endless)]


# -- refunds ----------------------------------------------------------------------------------------------------------


def bought(*transfers: Transfer, kind: str = "purchase") -> OriginalFacts:
    return OriginalFacts(kind, Code.OK, transfers, already_reversed=False, booked_at=NOW - AN_HOUR, details={})


def test_what_a_session_holds_of_a_bundle_is_not_given_back(shop: Operator) -> None:
    money, bundle = airtime(1), held(Unit.OCTETS, 100, product="pack", reserved=1)
    original = bought(
        Transfer(Ledger.BALANCE, Ledger.SALES, Unit.MONEY, 500, money.bucket_id),
        Transfer(Ledger.GRANTS, Ledger.BALANCE, Unit.OCTETS, 100, bundle.bucket_id),
    )
    refund = asked(Refund, refunded_key=UUID(int=4), reason="test")
    assert decided(shop, refund, known(money, bundle, original=original)).answer.code == Code.GRANT_USED


def test_money_comes_back_with_a_life_of_its_own_where_its_bucket_is_over(shop: Operator) -> None:
    money = airtime(30, expires_at=NOW)
    original = bought(Transfer(Ledger.BALANCE, Ledger.SALES, Unit.MONEY, 500, money.bucket_id))
    refund = asked(Refund, refunded_key=UUID(int=4), reason="test")
    case, answer = decided(shop, refund, known(money, original=original))
    # What was left of it when it ended is lost, and not brought back.
    assert (answer.ok, case.amount(money)) == (True, 500)
    assert case.end(money) == promised_end(NOW, shop.vouchers.validity_days, shop.timezone)


def test_what_was_given_back_is_not_given_back_again(shop: Operator) -> None:
    money = airtime(30)
    original = bought(Transfer(Ledger.BALANCE, Ledger.SALES, Unit.MONEY, 500, money.bucket_id))
    refund = asked(Refund, refunded_key=UUID(int=4), reason="test")
    given = known(money, original=original._replace(already_reversed=True))
    case, answer = decided(shop, refund, given)
    assert (answer.code, case.transfers) == (Code.ALREADY_REFUNDED, [])


@pytest.mark.parametrize("kind", ["recharge", "adjust", "transfer", "renew"])
def test_only_purchases_and_use_are_refunded(shop: Operator, kind: str) -> None:
    money = airtime(30)
    original = bought(Transfer(Ledger.BALANCE, Ledger.SALES, Unit.MONEY, 500, money.bucket_id), kind=kind)
    refund = asked(Refund, refunded_key=UUID(int=4), reason="test")
    assert decided(shop, refund, known(money, original=original)).answer.code == Code.NOTHING_TO_REFUND


# -- corrections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "ends"), [(Unit.MONEY, NOW + AN_HOUR), (Unit.OCTETS, None)])
def test_a_correction_goes_to_the_bucket_of_corrections_with_its_unit_and_its_end(
    shop: Operator, unit: Unit, ends: datetime | None
) -> None:
    others = (
        airtime(1),
        held(Unit.SECONDS, 1, product=ADJUSTMENT, expires_at=ends),
        held(unit, 1, product=ADJUSTMENT, expires_at=NOW + 2 * AN_HOUR),
    )
    correction = asked(Adjust, unit=unit, amount=5, reason="test", expires_at=ends)
    case, _ = decided(shop, correction, known(*others))
    (made,) = case.opened.values()
    assert (made.unit, made.amount, made.product, made.expires_at) == (unit, 5, ADJUSTMENT, ends)
    again, _ = decided(shop, correction, known(*others, made))
    assert (again.amount(made), again.opened) == (10, {})


# -- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("above", "lives"), [(9, True), (10, False)])
def test_only_products_of_more_days_than_the_policy_says_live_on(shop: Operator, above: int, *, lives: bool) -> None:
    policy = shop.policy.model_copy(update={"roll_over_times": 1, "roll_over_above_days": above})
    rest = held(Unit.OCTETS, 40, product="pack", expires_at=NOW)
    _, answer = decided(shop.model_copy(update={"policy": policy}), asked(Expire), known(rest))
    assert bool(answer.details["rolled_over"]) is lives


@pytest.mark.parametrize("days", [3, 10, 11, 400])
def test_what_lives_on_does_so_from_its_promised_end_however_late_that_is_noticed(shop: Operator, days: int) -> None:
    policy = shop.policy.model_copy(update={"roll_over_times": 1, "roll_over_above_days": 7})
    ended = promised_end(NOW - timedelta(days=days), 0, shop.timezone)
    rest = held(Unit.OCTETS, 40, product="pack", expires_at=ended)
    case, answer = decided(shop.model_copy(update={"policy": policy}), asked(Expire), known(rest))
    end = promised_end(ended - MOMENT, 10, shop.timezone)
    if end > NOW:
        assert [made.expires_at for made in case.opened.values()] == [end]
    else:
        assert answer.details["expired"] == [{"unit": "octets", "amount": 40, "product": "pack"}]


@pytest.mark.parametrize(
    ("days", "code"), [(0, Code.AMOUNT_INVALID), (1, Code.OK), (3660, Code.OK), (3661, Code.AMOUNT_INVALID)]
)
def test_value_is_prolonged_by_a_day_to_ten_years(shop: Operator, days: int, code: Code) -> None:
    extension = asked(Extend, days=days, reason="test")
    assert decided(shop, extension, known(airtime(1, expires_at=NOW + AN_HOUR))).answer.code == code


def test_whole_days_are_added_to_the_last_day_that_was_promised(shop: Operator) -> None:
    tonight = promised_end(NOW, 0, shop.timezone)
    rest = airtime(5, expires_at=tonight)
    case, _ = decided(shop, asked(Extend, days=2, reason="test"), known(rest))
    assert case.end(rest) == tonight + timedelta(days=2)


def test_nothing_that_is_over_or_empty_is_prolonged(shop: Operator) -> None:
    over, empty, endless = airtime(5, expires_at=NOW), airtime(0, expires_at=NOW + AN_HOUR), airtime(5)
    case, answer = decided(shop, asked(Extend, days=2, reason="test"), known(over, empty, endless))
    assert (answer.details["extended"], case.expiries) == ([], {})
