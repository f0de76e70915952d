"""Advances, renewals and credit lines: who may, for how much, from when on. Pure decisions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from engine.balances.facts import AdvanceFacts, RenewalFacts, StandingFacts
from engine.balances.rules import ORDINARY, credit_main, promised_end
from engine.balances.tables import RenewalState
from engine.books.case import Case
from engine.books.decisions import Decided
from engine.books.facts import LineFacts
from engine.books.tables import Ledger
from engine.receivables.rules import CREDIT_LINE
from engine.usage.facts import MeterFacts
from engine.usage.meters import day_of, month_of
from engine.words import (
    Adjust,
    Advance,
    AutoRenew,
    Bucket,
    Charge,
    Code,
    Expire,
    LineStatus,
    Purchase,
    Renew,
    SetCreditLimit,
    Unit,
)
from settings import AdvanceRules, Grant, Operator, Product, RenewalRules
from tests.engine.balances.test_giving import GIFTS, airtime, give
from tests.engine.deciding import LINE, MOMENT, NOW, asked, decided, held, known

PACK = Product(code="pack", name={}, price=500, days=10, grants=(Grant(unit="octets", amount=100),))
ADVANCES = AdvanceRules(
    amounts=(105, 200), fee_percent=10, balance_below=50, line_days=30, recharges=2, recharge_days=7
)


@pytest.fixture
def shop(operator: Operator) -> Operator:
    renewals = RenewalRules(back_off_hours=(1, 6))
    given = {"products": (PACK,), "advances": ADVANCES, "transfers": (GIFTS,), "renewals": renewals, "rates": ()}
    return operator.model_copy(update=given)


def capped(operator: Operator, cap: int) -> dict[Unit, MeterFacts]:
    """A line that may spend so much in a day."""
    zone = operator.timezone
    return {Unit.MONEY: MeterFacts(Unit.MONEY, day_of(NOW, zone), 0, cap, month_of(NOW, zone), 0, None, None)}


# -- advances ---------------------------------------------------------------------------------------------------------

OPENED = NOW - timedelta(days=30)
RECHARGED = (NOW - timedelta(days=1), NOW - timedelta(days=7), NOW - timedelta(days=8))


def borrow(operator: Operator, amount: int = 105, fee: int = 11, money: int = 49, **more: Any) -> Decided:
    found = {"standing": StandingFacts(OPENED, RECHARGED)} | more
    return decided(operator, asked(Advance, amount=amount, fee=fee), known(airtime(money), **found))


def test_the_fee_of_an_advance_is_rounded_up(shop: Operator) -> None:
    assert borrow(shop).answer.details == {"amount": 105, "fee": 11, "owed": 116, "balance": 154}
    assert borrow(shop, fee=10).answer.code == Code.FEE_CHANGED


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"money": 50}, Code.ADVANCE_NOT_ELIGIBLE),
        ({"postpaid": True}, Code.ADVANCE_NOT_ELIGIBLE),
        ({"standing": None}, Code.ADVANCE_NOT_ELIGIBLE),
        ({"standing": StandingFacts(OPENED + MOMENT, RECHARGED)}, Code.ADVANCE_NOT_ELIGIBLE),
        ({"standing": StandingFacts(OPENED, RECHARGED[1:])}, Code.ADVANCE_NOT_ELIGIBLE),
        ({"amount": 100, "fee": 10}, Code.AMOUNT_INVALID),
    ],
)
def test_who_has_enough_is_billed_or_came_yesterday_borrows_nothing(
    shop: Operator, more: dict[str, Any], code: Code
) -> None:
    case, answer = borrow(shop, **more)
    assert (answer.code, case.transfers) == (code, [])


def spending(operator: Operator, **more: Any) -> set[str]:
    """What becomes of everything by which something goes out."""
    asking = (
        asked(Purchase, product="pack", price=500),
        asked(Charge, unit=Unit.MONEY, amount=1),
        asked(AutoRenew, product="pack", price=500, wanted=True),
    )
    decisions = [decided(operator, one, known(airtime(600), **more)) for one in asking]
    decisions += [borrow(operator, **more), give(operator, **more), renew(operator, renewal(), **more)]
    return {decision.answer.code for decision in decisions}


def test_who_may_spend_does(shop: Operator) -> None:
    assert spending(shop) == {Code.OK}


@pytest.mark.parametrize("status", [LineStatus.SUSPENDED, LineStatus.BARRED, LineStatus.TERMINATED])
def test_nothing_goes_out_by_a_line_that_may_not_spend(shop: Operator, status: LineStatus) -> None:
    assert spending(shop, line=LineFacts(LINE, status, 0, None, None)) == {f"line_{status}"}


def test_nothing_goes_out_of_a_frozen_account(shop: Operator) -> None:
    assert spending(shop, frozen=True) == {Code.ACCOUNT_FROZEN}


def test_while_only_the_fee_is_owed_the_advance_is_open(shop: Operator) -> None:
    owing = AdvanceFacts(UUID(int=5), LINE, 105, 11, 0, 1, NOW)
    answer = borrow(shop, advances=[owing]).answer
    assert (answer.code, answer.details) == (Code.ADVANCE_OPEN, {"owed": 1})


@pytest.mark.parametrize("source", [Ledger.VOUCHERS, Ledger.GATEWAY])
def test_money_from_outside_pays_back_first_what_was_lent_and_then_its_fee(shop: Operator, source: Ledger) -> None:
    owing = AdvanceFacts(UUID(int=5), LINE, 105, 11, 105, 11, NOW)
    main = airtime(0)
    case = Case(asked(Expire), known(main, advances=[owing]), shop, NOW, "REF")
    credit_main(case, 110, source, None)
    paid = [(moved.credit, moved.amount) for moved in case.transfers if moved.debit is Ledger.BALANCE]
    assert paid == [(Ledger.ADVANCES, 105), (Ledger.FEES, 5)]
    assert case.rows["advances"] == [owing._replace(open_amount=0, open_fee=6)]
    assert case.messages == [("advance.recovered", {"amount": 110, "owed": 6})]
    assert case.amount(main) == 0


def test_who_owes_nothing_hears_of_no_advance(shop: Operator) -> None:
    case = Case(asked(Expire), known(airtime(0)), shop, NOW, "REF")
    credit_main(case, 110, Ledger.GATEWAY, None)
    assert (case.total(Unit.MONEY), case.messages) == (110, [])


def test_staffs_correction_pays_back_no_advance(shop: Operator) -> None:
    owing = AdvanceFacts(UUID(int=5), LINE, 105, 11, 105, 11, NOW)
    correction = asked(Adjust, unit=Unit.MONEY, amount=500, reason="test")
    case, _ = decided(shop, correction, known(airtime(0), advances=[owing]))
    assert (case.total(Unit.MONEY), case.rows.get("advances")) == (500, None)


# -- renewals ---------------------------------------------------------------------------------------------------------

CYCLE = NOW - timedelta(hours=1)


def renewal(**more: Any) -> RenewalFacts:
    return RenewalFacts(LINE, "pack", 500, RenewalState.ACTIVE, CYCLE, 0, CYCLE, None)._replace(**more)


def renew(operator: Operator, kept: RenewalFacts, money: int = 500, **more: Any) -> Decided:
    asking = {"cycle": CYCLE, "attempt": kept.attempt} | more.pop("asking", {})
    operation = asked(Renew, product="pack", price=500, **asking)
    return decided(operator, operation, known(airtime(money), renewal=kept, **more))


def stored(decision: Decided) -> RenewalFacts:
    (row,) = decision.case.rows["renewals"]
    return RenewalFacts(*row)


@pytest.mark.parametrize(("attempt", "since"), [(0, CYCLE - MOMENT), (1, NOW)])
def test_what_is_renewed_on_time_follows_without_a_gap_and_what_is_late_begins_when_it_is_paid(
    shop: Operator, attempt: int, since: datetime
) -> None:
    cycle = promised_end(NOW, -1, shop.timezone)
    kept = renewal(attempt=attempt, cycle=cycle)
    decision = renew(shop, kept, asking={"cycle": cycle})
    end = promised_end(cycle - MOMENT if attempt == 0 else since, 10, shop.timezone)
    assert [made.expires_at for made in decision.case.opened.values()] == [end]
    assert stored(decision) == renewal(cycle=end, next_at=end)


def test_a_renewal_that_comes_after_its_whole_next_cycle_begins_now(shop: Operator) -> None:
    cycle = NOW - timedelta(days=40)
    decision = renew(shop, renewal(cycle=cycle), asking={"cycle": cycle})
    assert stored(decision).cycle == promised_end(NOW, 10, shop.timezone)


@pytest.mark.parametrize("asking", [{"attempt": 1}, {"cycle": CYCLE + MOMENT}])
def test_a_renewal_of_another_cycle_or_attempt_does_nothing(shop: Operator, asking: dict[str, Any]) -> None:
    case, answer = renew(shop, renewal(), asking=asking)
    assert (answer.code, case.transfers) == (Code.NOT_RENEWED, [])


def test_nobody_is_renewed_at_a_price_that_they_did_not_agree_to(shop: Operator) -> None:
    decision = renew(shop, renewal(price=499))
    assert (decision.case.transfers, stored(decision).state) == ([], RenewalState.GIVEN_UP)


def test_a_renewal_spends_no_more_than_the_lines_own_limit(shop: Operator) -> None:
    decision = renew(shop, renewal(), meters=capped(shop, 499))
    assert (decision.case.transfers, stored(decision).attempt) == ([], 1)
    assert renew(shop, renewal(), meters=capped(shop, 500)).answer.details["renewed"]


@pytest.mark.parametrize(
    ("attempt", "after"),
    [
        (0, renewal(attempt=1, next_at=NOW + timedelta(hours=1))),
        (1, renewal(attempt=2, next_at=NOW + timedelta(hours=6))),
        (2, renewal(attempt=2, state=RenewalState.GIVEN_UP)),
    ],
)
def test_a_refused_renewal_waits_longer_each_time_and_ends_after_the_last_wait(
    shop: Operator, attempt: int, after: RenewalFacts
) -> None:
    decision = renew(shop, renewal(attempt=attempt), money=499)
    assert stored(decision) == after
    assert (decision.answer.details["missing"], decision.answer.details["given_up"]) == (1, attempt == 2)
    assert bool(decision.case.messages) is (attempt == 0)


def test_a_renewal_begins_when_the_last_bucket_of_its_product_ends(shop: Operator) -> None:
    ends = [NOW + timedelta(days=days) for days in (1, 3, 2)]
    buckets = [held(Unit.OCTETS, 1, product="pack", expires_at=end) for end in ends]
    wish = asked(AutoRenew, product="pack", price=500, wanted=True)
    assert stored(decided(shop, wish, known(*buckets))).cycle == ends[1]
    dearer = asked(AutoRenew, product="pack", price=499, wanted=True)
    assert decided(shop, dearer, known()).answer.code == Code.PRICE_CHANGED


# -- credit lines -----------------------------------------------------------------------------------------------------


def limit(operator: Operator, wanted: int, *buckets: Bucket, before: int = 0, postpaid: bool = True) -> Decided:
    facts = known(*buckets, credit_limit=before, postpaid=postpaid)
    return decided(operator, asked(SetCreditLimit, limit=wanted, reason="test"), facts)


def test_a_credit_line_is_used_after_the_persons_own_money(shop: Operator) -> None:
    (made,) = limit(shop, 900).case.opened.values()
    assert (made.product, made.amount, made.expires_at) == (CREDIT_LINE, 900, None)
    assert made.priority > ORDINARY


@pytest.mark.parametrize(("wanted", "code"), [(400, Code.OK), (399, Code.LIMIT_REFUSED), (-1, Code.LIMIT_REFUSED)])
def test_a_limit_never_falls_below_what_is_owed(shop: Operator, wanted: int, code: Code) -> None:
    # 400 of 900 are used.
    left = held(Unit.MONEY, 500, product=CREDIT_LINE)
    assert limit(shop, wanted, left, before=900).answer.code == code


def test_a_prepaid_account_has_no_limit_and_no_limit_is_below_nothing(shop: Operator) -> None:
    assert limit(shop, 900, postpaid=False).answer.code == Code.LIMIT_REFUSED
    assert limit(shop, -1).answer.code == Code.LIMIT_REFUSED
