"""Pure decisions about movements without a match: whatever is stated, no money is lost from sight."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given, strategies as st

from engine.payments.stored import Stored
from engine.recharge.gateways.contract import GatewayState, Outcome
from engine.reconciliation.rules import Told, asked, days, judge, likeliest
from engine.reconciliation.tables import Kind
from engine.words import PaymentState

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATE = timedelta(hours=24)


def stored(state: PaymentState, **more: object) -> Stored:
    """A payment of 50 in a state."""
    given_ = dict.fromkeys(Stored._fields) | {
        "shard": 1,
        "account_id": uuid4(),
        "payment_id": uuid4(),
        "gateway": "g",
        "gateway_ref": "ref",
        "amount": 50,
        "currency": "KES",
        "captured": 50,
        "captured_currency": "KES",
        "returned": 0,
        "state": state.value,
        "created_at": NOW,
        "changed_at": NOW,
    }
    return Stored(**given_ | more)


def told(amount: int = 50, currency: str = "KES", **more: object) -> Told:
    """A movement that is stated."""
    return Told("ref", None, amount, currency, NOW, **more)


payments = st.none() | st.builds(
    stored,
    st.sampled_from(PaymentState),
    amount=st.just(50),
    captured=st.sampled_from([None, 50, 40]),
    returned=st.sampled_from([0, 10, 40]),
)
movements = st.builds(
    told,
    st.sampled_from([-60, -50, -40, 40, 50, 60]),
    st.sampled_from(["KES", "UGX"]),
    undone=st.booleans(),
    named=st.booleans(),
)


@given(movements, payments, st.booleans())
def test_what_agrees_is_booked_as_stated(movement: Told, payment: Stored | None, elsewhere: bool) -> None:
    found = judge(movement, payment, LATE, elsewhere=elsewhere)
    if found.kind is None or found.kind is Kind.TIMING:
        assert (found.booked, found.currency) == (movement.amount, movement.currency)
    else:
        assert (found.booked, found.currency) != (movement.amount, movement.currency)


@given(movements, payments, st.booleans())
def test_only_that_is_booked_by_rule_of_which_nothing_but_the_booking_is_missing(
    movement: Told, payment: Stored | None, elsewhere: bool
) -> None:
    found = judge(movement, payment, LATE, elsewhere=elsewhere)
    if found.exact and movement.amount > 0:
        assert found.kind is Kind.MISSING_HERE and not movement.undone
        assert payment is None or (movement.amount, movement.currency) == (payment.amount, payment.currency)
    elif found.exact:
        assert payment is not None and payment.state == PaymentState.SETTLED
        assert payment.returned < -movement.amount <= payment.money[0] and movement.currency == payment.currency


@pytest.mark.parametrize(
    ("returned", "stated", "kinds"),
    [
        (30, (10, 20), (None, None)),
        (10, (10, 20), (None, Kind.STATUS)),
        (15, (10, 20), (None, Kind.AMOUNT)),
        (0, (10, 20), (Kind.STATUS, Kind.STATUS)),
        (30, (10,), (None,)),
        (10, (10, 45), (None, Kind.DUPLICATE)),
    ],
)
def test_what_is_booked_as_given_back_covers_what_is_stated_of_it_in_its_order(
    returned: int, stated: tuple[int, ...], kinds: tuple[Kind | None, ...]
) -> None:
    payment = stored(PaymentState.SETTLED, returned=returned)
    rows = [
        told(-amount, nth=place, earlier=sum(stated[: place - 1]), last=place == len(stated))
        for place, amount in enumerate(stated, start=1)
    ]
    assert tuple(judge(one, payment, LATE).kind for one in rows) == kinds


@pytest.mark.parametrize(
    "state", [PaymentState.SETTLED, PaymentState.REFUNDING, PaymentState.REFUNDED, PaymentState.CHARGED_BACK]
)
def test_a_payment_that_was_credited_once_is_never_missing_here(state: PaymentState) -> None:
    assert judge(told(), stored(state), LATE).kind is None


def test_what_lies_further_apart_than_is_usual_is_a_matter_of_timing() -> None:
    near, far = stored(PaymentState.SETTLED), stored(PaymentState.SETTLED, changed_at=NOW + timedelta(hours=25))
    assert (judge(told(), near, LATE).kind, judge(told(), far, LATE).kind) == (None, Kind.TIMING)


@pytest.mark.parametrize(
    ("state", "said", "kind"),
    [
        (PaymentState.SETTLED, GatewayState.CAPTURED, None),
        (PaymentState.SETTLED, GatewayState.DECLINED, Kind.MISSING_AT_GATEWAY),
        (PaymentState.SETTLED, GatewayState.NOT_FOUND, Kind.MISSING_AT_GATEWAY),
        (PaymentState.SETTLED, GatewayState.PENDING, Kind.MISSING_AT_GATEWAY),
        (PaymentState.SETTLED, GatewayState.REFUNDED, Kind.STATUS),
        (PaymentState.SETTLED, GatewayState.CHARGEBACK, Kind.STATUS),
        (PaymentState.REFUNDED, GatewayState.REFUNDED, None),
        (PaymentState.REFUNDED, GatewayState.CAPTURED, None),
        (PaymentState.DECLINED, GatewayState.CAPTURED, Kind.MISSING_HERE),
        (PaymentState.UNKNOWN, GatewayState.CAPTURED, Kind.MISSING_HERE),
        (PaymentState.CAPTURED, GatewayState.CAPTURED, Kind.MISSING_HERE),
        (PaymentState.DECLINED, GatewayState.DECLINED, None),
        (PaymentState.DECLINED, GatewayState.REFUNDED, None),
        (PaymentState.PENDING, GatewayState.PENDING, None),
    ],
)
def test_an_answer_of_a_gateway_means_what_a_statement_would(
    state: PaymentState, said: GatewayState, kind: Kind | None
) -> None:
    found = asked(stored(state), Outcome(state=said), LATE)
    assert found is not None and found[1].kind is kind


@pytest.mark.parametrize("state", PaymentState)
def test_no_answer_means_nothing(state: PaymentState) -> None:
    assert asked(stored(state), Outcome(state=GatewayState.UNKNOWN), LATE) is None


def test_days_are_those_of_the_operator_even_when_the_clocks_change() -> None:
    of = days(date(2026, 3, 29), date(2026, 3, 29), "Europe/Berlin")
    assert of.ends.astimezone(UTC) - of.begins.astimezone(UTC) == timedelta(hours=23)
    with pytest.raises(ValueError, match="until: 2026-03-28 is before 2026-03-29"):
        days(date(2026, 3, 29), date(2026, 3, 28), "Europe/Berlin")


def test_a_file_is_of_the_day_with_most_rows_and_of_two_alike_the_later() -> None:
    first, second = date(2026, 1, 1), date(2026, 1, 2)
    assert likeliest([(first, 5), (second, 4)]) == first
    assert likeliest([(first, 5), (second, 5)]) == second
    assert likeliest([]) is None
