"""Which gateway a payment goes to."""

from __future__ import annotations

import pytest

from engine.recharge.gateways.contract import GatewayState, Outcome
from engine.recharge.gateways.routing import GatewayRoute, GatewayRoutes
from engine.words import PaymentMethod
from runtime.breaker import IN_A_ROW, REST_FIRST, Breaker, BreakerState

MONEY, CARD = PaymentMethod.MOBILE_MONEY, PaymentMethod.CARD


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def routes(clock: Clock) -> GatewayRoutes:
    def route(name: str, *methods: PaymentMethod, cost: int = 0, prefixes: tuple[str, ...] = ("",)) -> GatewayRoute:
        return GatewayRoute(name=name, methods=frozenset(methods), cost=cost, prefixes=prefixes, breaker=Breaker(clock))

    return GatewayRoutes(
        [
            route("safaricom", MONEY, cost=20, prefixes=("2547",)),
            route("airtel", MONEY, cost=10, prefixes=("25473",)),
            route("aggregator", MONEY, CARD, cost=5),
            route("stripe", CARD, cost=30),
        ]
    )


def told(state: GatewayState, code: str | None = None) -> Outcome:
    return Outcome(state=state, provider_code=code)


def fail(routes: GatewayRoutes, name: str, state: GatewayState = GatewayState.UNKNOWN) -> None:
    for _ in range(IN_A_ROW):
        routes.heard(name, told(state, "unreachable"))


def test_the_longest_prefix_of_the_payer_wins_then_the_lowest_cost(routes: GatewayRoutes) -> None:
    assert routes.best(MONEY, "+254731000000") == ["airtel", "safaricom", "aggregator"]
    assert routes.best(MONEY, "+254712000000") == ["safaricom", "aggregator"]
    assert routes.best(MONEY, "+255712000000") == ["aggregator"]
    assert routes.best(CARD) == ["aggregator", "stripe"]


def test_a_method_that_nobody_serves_has_no_route(routes: GatewayRoutes) -> None:
    assert routes.best(PaymentMethod.BANK) == []
    assert routes.methods() == {MONEY, CARD}


@pytest.mark.parametrize("state", [GatewayState.UNKNOWN, GatewayState.NOT_FOUND])
def test_who_fails_again_and_again_comes_last_and_takes_nothing(routes: GatewayRoutes, state: GatewayState) -> None:
    fail(routes, "aggregator", state)
    assert routes.best(CARD) == ["stripe", "aggregator"]
    assert not routes.allows("aggregator") and routes.allows("stripe")
    assert routes.states()["aggregator"] is BreakerState.OPEN


def test_after_a_rest_one_payment_tries_and_its_success_heals(routes: GatewayRoutes, clock: Clock) -> None:
    fail(routes, "aggregator")
    clock.now += REST_FIRST + 0.1
    assert routes.allows("aggregator") and not routes.allows("aggregator")
    routes.heard("aggregator", told(GatewayState.DECLINED))
    assert routes.best(CARD) == ["aggregator", "stripe"]


def test_refusals_of_payers_are_no_illness(routes: GatewayRoutes) -> None:
    fail(routes, "stripe", GatewayState.DECLINED)
    assert routes.states()["stripe"] is BreakerState.CLOSED


def test_a_question_about_what_never_was_is_no_illness(routes: GatewayRoutes) -> None:
    for _ in range(IN_A_ROW):
        routes.heard("stripe", told(GatewayState.NOT_FOUND))
        routes.heard("stripe", told(GatewayState.NOT_FOUND, "no_callback_url"))
    assert routes.states()["stripe"] is BreakerState.CLOSED
