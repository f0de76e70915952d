"""What holds of every session, every price and every quota, whatever the numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st

from engine.books.tables import Ledger
from engine.usage.quota import quota_size
from engine.usage.tariffs import affordable, next_change, price_of, rate_for
from engine.words import Unit
from settings import Operator, QuotaRules, Rate
from tests.engine.usage.desk import MB, Desk, group

RATES = st.builds(
    Rate,
    code=st.just("any"),
    unit=st.just("octets"),
    price=st.integers(0, 500),
    per=st.integers(1, 2 * MB),
    step=st.integers(1, 10_000),
)
USES = st.integers(0, 5 * MB)
MOMENTS = st.integers(1_700_000_000, 1_900_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(
    octets=st.lists(st.integers(1, 8 * MB), max_size=3),
    money=st.integers(0, 40),
    consent=st.booleans(),
    uses=st.lists(st.tuples(st.sampled_from(["create", "update", "update", "release"]), USES), max_size=8),
)
def test_all_use_is_paid_in_units_with_money_or_by_the_operator_and_nothing_goes_below_zero(
    rated: Operator, octets: list[int], money: int, consent: bool, uses: list[tuple[str, int]]
) -> None:
    desk = Desk(rated, out_of_bundle=consent)
    for amount in octets:
        desk.bucket(Unit.OCTETS, amount)
    if money:
        desk.bucket(Unit.MONEY, money)
    paid = overrun = spent = 0
    for act, used in uses:
        desk.now += timedelta(seconds=20)
        (answer,) = desk.ask(act, group(used=used))
        assert answer.charged + answer.overrun == used
        paid, overrun, spent = paid + answer.charged, overrun + answer.overrun, spent + answer.money
        # Nobody is charged for more than there was, and the operator bears nothing while anything is left to pay with.
        assert not answer.overrun or desk.left(Unit.OCTETS) == desk.held(Unit.OCTETS) == 0
    assert desk.left(Unit.OCTETS) >= sum(octets) - paid
    assert desk.left(Unit.MONEY) == money - spent
    assert desk.ledgers.get((Ledger.OVERRUN, Unit.OCTETS), 0) == -overrun
    desk.ask("release")
    assert desk.held(Unit.OCTETS) == desk.held(Unit.MONEY) == 0


@given(st.lists(USES, min_size=1, max_size=6).flatmap(lambda seen: st.permutations(seen + seen[:2])))
def test_totals_in_any_order_and_number_charge_the_largest(rated: Operator, totals: list[int]) -> None:
    desk = Desk(rated)
    desk.bucket(Unit.OCTETS, 100 * MB)
    for total in totals:
        desk.ask("update", group(used=total, asks=None), cumulative=True)
    assert desk.left(Unit.OCTETS) == 100 * MB - max(totals)


@given(RATES, st.integers(0, 100_000))
def test_what_is_affordable_costs_no_more_than_there_is_and_one_step_more_does(rate: Rate, money: int) -> None:
    units = affordable(rate, money)
    if units is None:
        assert price_of(rate, 10**12) == 0
        return
    assert price_of(rate, units) <= money < price_of(rate, units + rate.step)


@given(RATES, st.integers(0, 10**9), st.integers(0, 10**6))
def test_more_use_never_costs_less(rate: Rate, units: int, more: int) -> None:
    assert price_of(rate, units) <= price_of(rate, units + more)


@given(MOMENTS)
def test_one_rate_holds_until_the_announced_change(rated: Operator, now: datetime) -> None:
    change = next_change(rated, Unit.OCTETS, "internet", now)
    assert change is not None
    holds = rate_for(rated, Unit.OCTETS, "internet", now)
    for part in range(10):
        assert rate_for(rated, Unit.OCTETS, "internet", now + (change - now) * part / 10) is holds
    assert rate_for(rated, Unit.OCTETS, "internet", change) is not holds


@given(
    left=st.integers(1, 10**12), used=st.integers(0, 10**12), seconds=st.floats(0, 10**6), wanted=st.integers(0, 10**10)
)
def test_a_quota_is_within_its_bounds_and_never_more_than_is_left(
    left: int, used: int, seconds: float, wanted: int
) -> None:
    rules = QuotaRules()
    size = quota_size(rules, Unit.OCTETS, left=left, used=used, seconds=seconds, wanted=wanted)
    least, most = rules.octets
    assert 0 < size <= min(left, most, wanted or most)
    assert size >= min(least, left, wanted or least)
    # Others find some, as long as it is worth sharing.
    assert size <= max(least, left // 2)
