"""Which gateway a payment goes to: by method and payer, past those that are not well, then by cost. Pure.

A payment goes to one gateway. Only what certainly has not reached it (``not_found`` of a charge, an open breaker) may
be tried at the next; an ``unknown`` payment stays where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.recharge.gateways.contract import GatewayState, Outcome
from engine.words import PaymentMethod
from runtime.breaker import Breaker, BreakerState

#: a ``not_found`` of a charge that is not the gateway's fault: we asked it for something that it cannot do for us
OURS = frozenset({"no_callback_url", "no_session"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRoute:
    """One gateway as routing sees it."""

    name: str
    methods: frozenset[PaymentMethod]
    #: of gateways that fit equally well the cheapest goes first; any unit
    cost: int = 0
    #: beginnings of the payers' numbers that it serves, without ``+``; "" serves all
    prefixes: tuple[str, ...] = ("",)
    #: it asks within the payer's session on one channel: never chosen for a payment, only named
    in_session: bool = False
    breaker: Breaker = field(default_factory=Breaker)

    def reach(self, msisdn: str) -> int | None:
        """How much of a payer's number (E.164) the longest prefix covers; None if it serves other numbers only."""
        digits = msisdn.lstrip("+")
        return max((len(prefix) for prefix in self.prefixes if digits.startswith(prefix)), default=None)


class GatewayRoutes:
    """The gateways of one installation. Who goes first is decided anew for each payment."""

    def __init__(self, routes: Sequence[GatewayRoute]) -> None:
        self._routes: Mapping[str, GatewayRoute] = {route.name: route for route in routes}

    def best(self, method: PaymentMethod, payer_msisdn: str = "") -> list[str]:
        """Names of the gateways for a payment, best first; those that are not well come last, and are not left out.

        Among the healthy the longest prefix of the payer's number wins, then the lowest cost, then the name. Whether
        one that is not well may be tried is ``allows``'s to say, when it is its turn.
        """
        fitting = []
        for route in self._routes.values():
            reach = route.reach(payer_msisdn)
            if method in route.methods and reach is not None and not route.in_session:
                ill = route.breaker.state is not BreakerState.CLOSED
                fitting.append((ill, -reach, route.cost, route.name))
        return [name for *_, name in sorted(fitting)]

    def allows(self, name: str) -> bool:
        """Whether a new payment may go there now. True of a half-open one makes it the probe: ``heard`` must follow."""
        return self._routes[name].breaker.allows()

    def heard(self, name: str, outcome: Outcome) -> None:
        """What a call came to. A refusal is an answer like any other: the gateway is well."""
        breaker = self._routes[name].breaker
        absent = outcome.state is GatewayState.NOT_FOUND and outcome.provider_code not in {None, *OURS}
        if outcome.state is GatewayState.UNKNOWN or absent:
            breaker.failed()
        else:
            breaker.succeeded()

    def methods(self) -> frozenset[PaymentMethod]:
        """What people can pay with wherever they are."""
        routes = [route for route in self._routes.values() if not route.in_session]
        return frozenset(method for route in routes for method in route.methods)

    def states(self) -> dict[str, BreakerState]:
        """Every gateway's breaker, by name."""
        return {name: route.breaker.state for name, route in self._routes.items()}
