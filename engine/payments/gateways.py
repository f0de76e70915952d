"""The payment gateways of this installation as payments use them: bounded in time, measured, and never raising."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from time import perf_counter

import structlog

from engine.recharge.gateways.configured import gateway_routes, payment_gateways
from engine.recharge.gateways.contract import (
    ChargeRequest,
    Event,
    GatewayState,
    Outcome,
    PaymentGateway,
    PaymentRef,
    RefundRequest,
)
from engine.recharge.gateways.offers import AsksInSession, OffersPage
from engine.recharge.gateways.routing import GatewayRoutes
from engine.words import PaymentMethod
from runtime.breaker import Breaker
from runtime.metrics import Metrics
from settings import Settings

log = structlog.get_logger(__name__)

#: Seconds that a call may take at least and still be under way; see ``Gateways.lease``.
SHORTEST_LEASE = 30.0
#: Seconds to write down what was answered.
MARGIN = 5.0
UNKNOWN = Outcome(state=GatewayState.UNKNOWN, provider_code="failed")
#: said of a gateway that is not in the settings (any more)
ABSENT = Outcome(state=GatewayState.UNKNOWN, provider_code="not_configured")
#: said of a provider that has not answered for a while: it was not asked
RESTING = Outcome(state=GatewayState.UNKNOWN, provider_code="resting")
#: how an adapter says that its provider is ill, beside ``http_5..``; other unknowns are answers
_ILL = frozenset({"failed", "no_answer", "unreachable", "timeout", "http_429"})


class Gateways:
    """The gateways by name, and the routes over them."""

    def __init__(
        self,
        by_name: Mapping[str, PaymentGateway],
        routes: GatewayRoutes,
        callback_bases: Mapping[str, str],
        metrics: Metrics | None = None,
        *,
        timeout_seconds: float = 10.0,
    ) -> None:
        """``callback_bases``: name → where that provider reaches us, ``https://host``; empty: nowhere.

        ``timeout_seconds``: the longest that any of them waits for one answer.
        """
        self._by_name = by_name
        self._routes = routes
        self._bases = callback_bases
        #: for what is asked about payments that were made; a new one has the breaker of its route
        self._breakers = {name: Breaker() for name in by_name}
        # A call may be two of its provider's: a token, then what was wanted.
        self._longest_call = 2 * timeout_seconds + MARGIN
        #: how long what was begun may be under way: until then nobody else takes its payment up
        self.lease = timedelta(seconds=max(self._longest_call + MARGIN, SHORTEST_LEASE))
        self.metrics = metrics or Metrics()

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def get(self, name: str) -> PaymentGateway | None:
        """The gateway of that name."""
        return self._by_name.get(name)

    async def start(self) -> None:
        """Open what they need."""
        await asyncio.gather(*(gateway.start() for gateway in self._by_name.values()))

    async def stop(self) -> None:
        """Let everything go."""
        await asyncio.gather(*(gateway.stop() for gateway in self._by_name.values()))

    def candidates(self, method: PaymentMethod, payer_msisdn: str) -> list[str]:
        """Who may be asked, best first."""
        return self._routes.best(method, payer_msisdn)

    def checkout(self, name: str) -> str:
        """What people call the gateway ``name`` that asks within their session; empty where there is none such."""
        gateway: object = self._by_name.get(name)
        return gateway.brand if isinstance(gateway, AsksInSession) else ""

    def has_page(self, name: str) -> bool:
        """Whether the gateway ``name`` has a page on which a card is entered."""
        gateway: object = self._by_name.get(name)
        return isinstance(gateway, OffersPage) and gateway.has_page

    def takes_new_cards(self) -> bool:
        """Whether a card can be entered on some gateway's page."""
        return any(self.has_page(name) for name in self.candidates(PaymentMethod.CARD, ""))

    async def conclude(self, name: str, event: Event, *, delivered: bool) -> bool:
        """Tell a gateway that asks within sessions what became of an order. True once it has heard."""
        gateway: object = self._by_name.get(name)
        if not isinstance(gateway, AsksInSession):
            return True
        try:
            async with asyncio.timeout(self._longest_call):
                return await gateway.conclude(event, delivered=delivered)
        except Exception:
            log.exception("gateway_broke", gateway=name, call="conclude")
            return False

    def allows(self, name: str) -> bool:
        """Whether a new payment may go there now: then ``charge`` has to follow."""
        return self._routes.allows(name)

    def methods(self) -> frozenset[PaymentMethod]:
        """What people can pay with."""
        return self._routes.methods()

    def callback_url(self, name: str, secret: str) -> str:
        """Where the provider calls back for one payment; empty where it cannot reach us."""
        base = self._bases.get(name, "").rstrip("/")
        return f"{base}/payments/{name}/callback/{secret}" if base else ""

    async def charge(self, name: str, request: ChargeRequest) -> Outcome:
        """Ask for the money."""
        gateway = self._by_name.get(name)
        if gateway is None:
            return Outcome(state=GatewayState.NOT_FOUND, provider_code="not_configured")
        outcome = await self._call(name, "charge", gateway.charge(request))
        self._routes.heard(name, outcome)
        return outcome

    async def status(self, name: str, payment: PaymentRef) -> Outcome:
        """What became of a payment."""
        return await self._ask(name, "status", lambda gateway: gateway.status(payment))

    async def confirm(self, name: str, payment: PaymentRef) -> Outcome:
        """Take what was held."""
        return await self._ask(name, "confirm", lambda gateway: gateway.confirm(payment))

    async def cancel(self, name: str, payment: PaymentRef) -> Outcome:
        """Let go, or call off."""
        return await self._ask(name, "cancel", lambda gateway: gateway.cancel(payment))

    async def refund(self, name: str, request: RefundRequest) -> Outcome:
        """Give captured money back."""
        return await self._ask(name, "refund", lambda gateway: gateway.refund(request))

    async def _ask(self, name: str, what: str, call: Callable[[PaymentGateway], Awaitable[Outcome]]) -> Outcome:
        """Ask about a payment that was made, unless its provider has not answered the last few times."""
        gateway = self._by_name.get(name)
        if gateway is None:
            return ABSENT
        breaker = self._breakers[name]
        if not breaker.allows():
            return RESTING
        outcome = await self._call(name, what, call(gateway))
        code = outcome.provider_code or ""
        if outcome.state is GatewayState.UNKNOWN and (code in _ILL or code.startswith("http_5")):
            breaker.failed()
        else:
            breaker.succeeded()
        return outcome

    async def _call(self, name: str, what: str, call: Awaitable[Outcome]) -> Outcome:
        started = perf_counter()
        try:
            async with asyncio.timeout(self._longest_call):
                outcome = await call
        except Exception:
            # By contract they do not raise; if one does, nobody knows what it has done.
            log.exception("gateway_broke", gateway=name, call=what)
            outcome = UNKNOWN
        self.metrics.gateway_seconds.labels(name, what, outcome.state.value).observe(perf_counter() - started)
        return outcome


def no_gateways(metrics: Metrics) -> Gateways:
    """Where nothing can be paid for."""
    return Gateways({}, GatewayRoutes([]), {}, metrics)


def configured_gateways(settings: Settings, metrics: Metrics) -> Gateways:
    """The gateways of the settings, not yet started. Raises ``SettingsError``."""
    made = payment_gateways(settings)
    bases = {name: given.callback_base or settings.public_url for name, given in settings.payment_gateways.items()}
    longest = max((given.timeout_seconds for given in settings.payment_gateways.values()), default=0.0)
    return Gateways(made, gateway_routes(settings, made), bases, metrics, timeout_seconds=longest)
