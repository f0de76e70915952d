"""What a USSD gateway's adapter is: it spells the gateway's words as ours and back, and holds no other logic.

An adapter is a module ``channels/ussd/<name>/gateway.py`` with a class ``Gateway`` that extends ``Adapter``, or, where
a gateway is only another spelling of a form or a JSON body, a data file (``channels.ussd.spelled``). It never imports
the engine. ``channels.ussd.fields`` reads what gateways send.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from channels.turn import Malformed, Reply, Turn, Unreadable
from configuration.options import Options

__all__ = [
    "Adapter",
    "AdapterFactory",
    "Malformed",
    "Options",
    "Request",
    "Response",
    "SessionEnd",
    "SessionQuery",
    "Undelivered",
    "Unreadable",
]


class Request(NamedTuple):
    """A gateway's request as it came over HTTP."""

    body: bytes = b""
    method: str = "POST"
    #: behind the ``?``, still encoded
    query: str = ""
    #: the parts of the path that ``Adapter.paths`` names
    parts: Mapping[str, str] = {}
    #: names in any case
    headers: Mapping[str, str] = {}


class Response(NamedTuple):
    """What goes back over HTTP, ready to send."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = {}


class SessionEnd(NamedTuple):
    """The gateway's word that a session is over."""

    #: a turn whose event is ``Event.CLOSE``
    turn: Turn
    #: the gateway's own outcome, one of the adapter's ``outcomes``
    outcome: str
    #: how many hops it counted, and how long it lasted; 0 where the gateway does not say
    hops: int = 0
    milliseconds: int = 0


class SessionQuery(NamedTuple):
    """The gateway's question whether we still know a session."""

    turn: Turn


class Undelivered(Exception):
    """The gateway did not take the answer. ``args[0]`` is the reason: a code, never what was sent."""


class Adapter(ABC):
    """One gateway's wire format. Extend it: what a gateway has no need of stands here."""

    #: seconds the gateway lets one whole session last
    session_seconds: int
    #: what a screen of it holds at most, whatever the settings allow (3GPP TS 23.038: 160 octets)
    most_septets: int = 182
    most_ucs2: int = 80
    #: whether the gateway takes money in its own sessions: ``Reply.checkout`` is then written
    takes_money: bool = False
    #: every outcome of a ``SessionEnd``: metrics label, so it must be bounded
    outcomes: frozenset[str] = frozenset()
    #: HTTP methods of hops
    methods: frozenset[str] = frozenset({"POST"})
    #: what the gateway adds to our address, in the words of aiohttp's routes: ``/session/{session}/{step}``
    paths: tuple[str, ...] = ("",)

    @abstractmethod
    def read(self, request: Request) -> Turn | SessionEnd | SessionQuery | Response:
        """A hop; or the session's end or a question after it, where they come by the same way; or at once an answer.

        A turn may lack its session id (the gateway has none), or with ``pointed`` its number: both are found.
        Raises ``Malformed`` with the field and the reason, which never repeats what was sent.
        """

    @abstractmethod
    def write(self, reply: Reply, turn: Turn) -> Response:
        """The answer to a hop: the same bytes for the same reply to the same request."""

    @abstractmethod
    def write_malformed(self, error: Malformed) -> Response:
        """The answer to a request that could not be read."""

    def write_unreadable(self, error: Unreadable, notice: Reply) -> Response:  # noqa: ARG002 - for those that show it
        """The answer where only what was typed could not be read: ``notice`` where the gateway shows our body as it is.

        Elsewhere it is a malformed request like any other.
        """
        return self.write_malformed(error)

    def read_event(self, request: Request) -> SessionEnd | Response:  # noqa: ARG002 - for those that send some
        """What comes to ``/ussd/<name>/events``: a session's end, or what is only acknowledged.

        Raises ``Malformed``.
        """
        raise Malformed("path", "this gateway sends no events")

    def write_event(self, ended: SessionEnd) -> Response:  # noqa: ARG002 - some answer with what was asked
        """The answer that tells the gateway to stop repeating the event."""
        return Response(200, "text/plain", b"OK")

    def write_status(self, *, active: bool) -> Response:
        """The answer to a ``SessionQuery``."""
        return Response(200, "text/plain", b"active" if active else b"unknown")

    async def send(self, reply: Reply, turn: Turn) -> None:  # noqa: B027 - most answer the call itself
        """For gateways that are answered by a call of ours: called before ``write``. Raises ``Undelivered``."""

    async def close(self) -> None:  # noqa: B027 - most hold nothing open
        """Let go what the adapter holds open."""


class AdapterFactory(Protocol):
    """The class ``Gateway`` of an adapter's module, or a data file's."""

    @property
    def session_seconds(self) -> int:
        """As in ``Adapter``."""
        ...

    @property
    def most_septets(self) -> int:
        """As in ``Adapter``."""
        ...

    @property
    def most_ucs2(self) -> int:
        """As in ``Adapter``."""
        ...

    @property
    def takes_money(self) -> bool:
        """As in ``Adapter``."""
        ...

    def __call__(self, name: str, service_code: str, options: Options) -> Adapter:
        """``name``: the instance in the settings. ``service_code``: what people dial, without ``*`` and ``#``.

        ``options``: the adapter's own settings. Raises ``configuration.options.WrongOptions``.
        """
        ...
