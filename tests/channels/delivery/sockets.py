"""Real carriers on real sockets, whose servers say what a test says."""

from __future__ import annotations

from typing import Any

from channels.routing import Route
from channels.sms.africastalking.carrier import Carrier as AfricasTalking
from channels.sms.contract import ErrorKind, Tools
from settings import CarrierSettings
from tests.doubles.africastalking import API_KEY, USERNAME, AfricasTalkingDouble

#: what the carrier's server says so that a send ends like this
WORDS: dict[ErrorKind, str | int] = {
    ErrorKind.RETRY: "unavailable",
    ErrorKind.THROTTLED: "throttle",
    ErrorKind.PERMANENT: 403,
    ErrorKind.REROUTE: 402,
    ErrorKind.UNKNOWN: "lost",
}


class OnASocket(AfricasTalking):
    """A real carrier of ours, and the server that it sends to."""

    def __init__(self, server: AfricasTalkingDouble, tools: Tools, *, drops_doubles: bool) -> None:
        super().__init__("one", {"username": USERNAME, "api_key": API_KEY, "base_url": server.url}, tools)
        self.server = server
        self.drops_doubles = drops_doubles

    @property
    def offered(self) -> list[dict[str, str]]:
        """The forms that arrived."""
        return [request.form for request in self.server.requests]


def route(carrier: Any, name: str = "one", **given: Any) -> Route:
    return Route(name, carrier, CarrierSettings(adapter="scripted", **{"per_second": 1000.0, **given}))
