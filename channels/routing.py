"""Which carrier takes a text: by the number's beginning, then by cost, past those that are not well."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

from redis.asyncio import Redis

from channels.rates import RateLimit
from channels.sms.contract import Carrier
from runtime.breaker import Breaker, BreakerState
from settings import CarrierSettings, Settings

#: seconds that a text is expected to take at a carrier at most, where no window is set
EXPECTED_SECONDS = 0.2
#: never fewer than this many texts on their way
WINDOW_LEAST = 10


class Route:
    """One carrier with its rate, its window and its breaker."""

    def __init__(self, name: str, carrier: Carrier, given: CarrierSettings, redis: Redis | None = None) -> None:
        """``name``: as in the settings; ``redis`` for the rate of all processes together."""
        self.name = name
        self.carrier = carrier
        self.given = given
        self.breaker = Breaker()
        self.rate = RateLimit(name, given.per_second, redis)
        usual = max(WINDOW_LEAST, math.ceil(given.per_second * EXPECTED_SECONDS))
        self.window = asyncio.Semaphore(given.window or usual)
        #: it drops a message id that it has seen before, so sending again can do no harm
        self.drops_doubles: bool = getattr(carrier, "drops_doubles", False)
        self._prefixes = tuple(sorted((prefix.lstrip("+") for prefix in given.prefixes), key=len, reverse=True))

    def reach(self, msisdn: str) -> int | None:
        """How much of a number (E.164 with ``+``) its longest prefix covers; None if it serves other numbers only."""
        digits = msisdn.lstrip("+")
        return next((len(prefix) for prefix in self._prefixes if digits.startswith(prefix)), None)


#: chats are not in ``carriers``; Telegram takes about 30 messages a second from one bot (Bot API, broadcasting)
CHAT = CarrierSettings(adapter="chat", per_second=25.0)


class Router:
    """The routes of one installation."""

    def __init__(self, routes: Sequence[Route], chats: Mapping[str, Route] | None = None) -> None:
        """``chats``: app → who writes into its chats."""
        self.routes = tuple(routes)
        self.chats = dict(chats or {})

    def everyone(self) -> tuple[Route, ...]:
        """All routes, chats among them."""
        return (*self.routes, *self.chats.values())

    def to_number(self, msisdn: str, channel: str, prefer: str | None = None) -> list[Route]:
        """The carriers that serve a number, best first: ``prefer`` (a name), then those that speak ``channel``.

        Among these the longest prefix wins, then the lowest cost. Plain texts are what is left when nobody speaks the
        channel. Who is not well is in the list too: whether a text may go is the breaker's to say, when it goes.
        """
        fitting = []
        for route in self.routes:
            reach = route.reach(msisdn)
            if reach is None:
                continue
            preferred = route.name == prefer
            if not preferred and route.given.channel not in {channel, "sms"}:
                continue
            fitting.append((not preferred, route.given.channel != channel, -reach, route.given.cost, route.name, route))
        return [entry[-1] for entry in sorted(fitting, key=lambda entry: entry[:-1])]

    def headroom(self, seconds: float) -> int:
        """How many texts all that are well could take within the next ``seconds``."""
        return sum(
            1 if route.breaker.state is BreakerState.HALF_OPEN else route.rate.headroom(seconds)
            for route in self.everyone()
            if route.breaker.state is not BreakerState.OPEN
        )

    def states(self) -> dict[str, BreakerState]:
        """Every route's breaker, by name."""
        return {route.name: route.breaker.state for route in self.everyone()}


def router(
    settings: Settings, carriers: Mapping[str, Carrier], redis: Redis, chats: Mapping[str, Carrier] | None = None
) -> Router:
    """The routes of an installation. ``carriers`` by their names in the settings, ``chats`` by the app's name."""
    routes = [Route(name, carrier, settings.carriers[name], redis) for name, carrier in carriers.items()]
    return Router(routes, {app: Route(app, carrier, CHAT, redis) for app, carrier in (chats or {}).items()})
