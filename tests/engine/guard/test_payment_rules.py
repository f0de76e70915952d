"""The layers before payments, as pure decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from engine.guard.payment_rules import PAYMENT_LAYERS, History, PaymentCase, Ruling, combined, rule
from engine.words import LineStatus, Listed, ListKind, PaymentMethod, Refused, Ruled
from settings import FraudRules, MethodRules, Operator, PaymentRules, Velocity

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
FRAUD = FraudRules(
    velocity=(Velocity(of="payer", most=3, minutes=10, weight=60), Velocity(of="payer", most=9, minutes=60, weight=50)),
    outlier_times=10,
    outlier_history=3,
    new_line_hours=24,
    sim_change_hours=72,
    other_payer_weight=10,
)
PAYMENTS = PaymentRules(
    methods={"mobile_money": MethodRules(least=100, most=10_000, per_day=20_000)}, balance_most=50_000, waiting_most=2
)


@pytest.fixture
def shop(operator: Operator) -> Operator:
    return operator.model_copy(update={"fraud": FRAUD, "payments": PAYMENTS})


def case(operator: Operator, **more: Any) -> PaymentCase:
    known: dict[str, Any] = {
        "method": PaymentMethod.MOBILE_MONEY,
        "amount": 5_000,
        "operator": operator,
        "now": NOW,
        "source": "test",
        "status": LineStatus.ACTIVE,
        "opened_at": NOW - timedelta(days=100),
    }
    return PaymentCase(**known | more)


def test_an_ordinary_payment_passes_all_layers(shop: Operator) -> None:
    assert rule(case(shop)) == Ruling()


@pytest.mark.parametrize(
    ("facts", "layer", "code", "limit"),
    [
        ({"status": None}, "account", Refused.LINE, None),
        ({"status": LineStatus.TERMINATED}, "account", Refused.LINE, None),
        ({"status": LineStatus.BARRED}, "account", Refused.LINE, None),
        ({"method": PaymentMethod.CARD}, "method", Refused.METHOD, None),
        ({"card_ends": NOW}, "method", Refused.CARD_EXPIRED, None),
        ({"amount": 99}, "method", Refused.AMOUNT_TOO_LOW, 100),
        ({"amount": 10_001}, "method", Refused.AMOUNT_TOO_HIGH, 10_000),
        ({"history": History(today=15_001)}, "method", Refused.DAILY_LIMIT, 20_000),
        ({"listed": frozenset({(ListKind.PAYER, Listed.BLOCK)})}, "fraud", Refused.BLOCKED, None),
        ({"windows": None}, "fraud", Refused.RISK_UNKNOWN, None),
        ({"windows": {("payer", 10): 4, ("payer", 60): 10}}, "fraud", Refused.RISK, None),
        ({"balance": 45_001}, "limits", Refused.BALANCE_LIMIT, 50_000),
        ({"history": History(waiting=2)}, "limits", Refused.TOO_MANY_WAITING, None),
    ],
)
def test_each_layer_refuses_with_its_own_code(
    shop: Operator, facts: dict[str, Any], layer: str, code: Refused, limit: int | None
) -> None:
    ruling = rule(case(shop, **facts))
    assert (ruling.verdict, ruling.layer, ruling.code, ruling.limit) == (Ruled.REFUSE, layer, code, limit)


@pytest.mark.parametrize(
    "facts",
    [
        {"amount": 100},
        {"amount": 10_000},
        {"history": History(today=15_000)},
        {"balance": 45_000},
        {"history": History(waiting=1)},
        {"windows": {("payer", 10): 3, ("payer", 60): 9}},
        {"status": LineStatus.BARRED, "postpaid": True},
        {"status": LineStatus.SUSPENDED},
        {"card_ends": NOW + timedelta(seconds=1)},
    ],
)
def test_what_is_just_within_a_limit_passes(shop: Operator, facts: dict[str, Any]) -> None:
    assert rule(case(shop, **facts)).verdict is Ruled.ALLOW


@pytest.mark.parametrize(
    ("facts", "reasons", "score", "verdict"),
    [
        ({"windows": {("payer", 10): 4}}, ("velocity_payer_10min",), 60, Ruled.REVIEW),
        ({"history": History(settled=3, usual=400)}, ("amount_unusual",), 40, Ruled.ALLOW),
        ({"history": History(settled=2, usual=400)}, (), 0, Ruled.ALLOW),
        ({"history": History(settled=3, usual=500)}, (), 0, Ruled.ALLOW),
        ({"opened_at": NOW - timedelta(hours=23)}, ("line_new",), 20, Ruled.ALLOW),
        ({"opened_at": NOW - timedelta(hours=24)}, (), 0, Ruled.ALLOW),
        (
            {"sim_changed_at": NOW - timedelta(hours=71), "opened_at": NOW - timedelta(hours=1)},
            ("line_new", "sim_changed"),
            60,
            Ruled.REVIEW,
        ),
        ({"own_number": False}, ("other_payer",), 10, Ruled.ALLOW),
        (
            {"windows": {("payer", 10): 4}, "sim_changed_at": NOW - timedelta(hours=1)},
            ("velocity_payer_10min", "sim_changed"),
            100,
            Ruled.REFUSE,
        ),
    ],
)
def test_each_suspicion_has_a_name_and_a_weight_and_they_add_up(
    shop: Operator, facts: dict[str, Any], reasons: tuple[str, ...], score: int, verdict: Ruled
) -> None:
    ruling = rule(case(shop, **facts))
    assert (ruling.reasons, ruling.score, ruling.verdict) == (reasons, score, verdict)


def test_whom_staff_trusts_is_not_scored_but_limits_hold(shop: Operator) -> None:
    trusted = {"listed": frozenset({(ListKind.SUBSCRIBER, Listed.ALLOW)}), "windows": None}
    assert rule(case(shop, **trusted)) == Ruling(reasons=("trusted",))
    assert rule(case(shop, **trusted, amount=10_001)).code is Refused.AMOUNT_TOO_HIGH


def test_who_is_blocked_on_one_list_and_trusted_on_another_is_blocked(shop: Operator) -> None:
    both = frozenset({(ListKind.SUBSCRIBER, Listed.ALLOW), (ListKind.PAYER, Listed.BLOCK)})
    assert rule(case(shop, listed=both)).code is Refused.BLOCKED


def test_without_rules_nothing_is_suspicious_and_nothing_has_to_be_known(operator: Operator) -> None:
    plain = operator.model_copy(update={"fraud": FraudRules(), "payments": PaymentRules()})
    risky = case(plain, windows=None, opened_at=NOW, own_number=False, amount=10**14)
    assert rule(risky) == Ruling()


@given(
    amount=st.integers(1, 20_000),
    today=st.integers(0, 30_000),
    windows=st.dictionaries(st.tuples(st.just("payer"), st.sampled_from([10, 60])), st.integers(0, 20), max_size=2),
    more=st.integers(1, 20),
)
def test_more_suspicion_never_makes_a_ruling_milder(
    operator: Operator, amount: int, today: int, windows: dict[tuple[str, int], int], more: int
) -> None:
    shop = operator.model_copy(update={"fraud": FRAUD, "payments": PAYMENTS})
    order = [Ruled.ALLOW, Ruled.REVIEW, Ruled.REFUSE]
    facts: dict[str, Any] = {"amount": amount, "history": History(today=today)}
    mild = rule(case(shop, **facts, windows=windows))
    often = {one: count + more for one, count in windows.items()}
    harsh = rule(case(shop, **facts, windows=often, own_number=False, opened_at=NOW))
    assert order.index(harsh.verdict) >= order.index(mild.verdict)


def test_a_refusal_stands_whatever_later_layers_say() -> None:
    refused = Ruling(Ruled.REFUSE, layer="method", code=Refused.METHOD)
    for said in (None, Ruling(Ruled.REVIEW), Ruling(Ruled.REFUSE, code=Refused.RISK)):
        assert combined(refused, "limits", said) == refused


def test_a_review_stands_unless_a_later_layer_refuses() -> None:
    held = Ruling(Ruled.REVIEW, layer="fraud", score=60, reasons=("line_new",))
    assert combined(held, "limits", None) == held
    after = combined(held, "limits", Ruling(Ruled.REFUSE, code=Refused.BALANCE_LIMIT))
    assert (after.verdict, after.layer, after.score) == (Ruled.REFUSE, "limits", 60)


def test_inputs_say_all_that_was_decided_over_and_no_number(shop: Operator) -> None:
    said = case(shop, windows={("payer", 10): 4}, history=History(3, 400, 900, 1)).inputs()
    assert said["windows"] == {"payer/10": 4}
    assert (said["settled"], said["usual"], said["today"], said["waiting"]) == (3, 400, 900, 1)
    assert said["line_hours"] == 2400
    assert set(PAYMENT_LAYERS) == {"account", "method", "fraud", "limits"}
