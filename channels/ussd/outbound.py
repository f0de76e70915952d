"""The gateways that we open connections to: those that bring dialogues that way, and those that take sessions of ours.

Such an adapter has a module ``channels/ussd/<name>/outbound.py`` with a class ``Outbound``, and beside it, where the
gateway also calls us over HTTP, the ``gateway`` of ``channels.ussd.contract``. It lives in the process that opens
connections. It never imports the engine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from redis.asyncio import Redis

from channels.loading import found
from channels.turn import Reply, Turn
from configuration.options import Options
from runtime.keyring import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What an adapter may use."""

    redis: Redis
    keyring: Keyring
    #: the conversation: answers whatever happens, once what the turn asked for is committed
    turn: Callable[[Turn], Awaitable[Reply]]
    #: the session is over, with its outcome: one of the adapter's ``outcomes``
    ended: Callable[[str], None]
    #: what people dial, without ``*`` and ``#``
    service_code: str
    #: seconds from a person's input until the answer is of no use any more
    deadline_seconds: float


class Opening(NamedTuple):
    """A session that we begin: its first screen stands, only the person has not seen it yet."""

    session_id: str
    #: E.164 with ``+``
    msisdn: str
    reply: Reply

    def __repr__(self) -> str:
        return f"Opening({self.session_id})"


class NotPushed(Exception):
    """The person has not seen the screen. ``args[0]`` is the reason: a code, never what was sent.

    ``unknown``: the gateway did not say, so they may have.
    """

    def __init__(self, reason: str, *, unknown: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unknown = unknown


class Outbound(Protocol):
    """One gateway that we open connections to."""

    #: seconds the gateway lets one whole session last
    session_seconds: int
    #: every outcome of a session: metrics label, so it must be bounded
    outcomes: frozenset[str]
    #: whether the gateway takes sessions that we begin, as it is set up
    pushes: bool
    #: whether all that is to be kept open is open
    connected: bool

    async def start(self) -> None:
        """Open what is kept open. Returns at once, whether or not it is open."""
        ...

    async def close(self) -> None:
        """Finish what is under way, then let the connections go."""
        ...

    async def push(self, opening: Opening) -> None:
        """Show a person the first screen of a session of ours, or, where it ends at once, only tell them something.

        What the person then types is a turn of the opening's session. Returns when the gateway has taken the screen;
        a gateway that answers only when the person has may keep its caller for as long as a session lasts. Raises
        ``NotPushed``.
        """
        ...


class OutboundFactory(Protocol):
    """The class ``Outbound`` of an adapter's module."""

    session_seconds: int

    def __call__(self, name: str, options: Options, tools: Tools) -> Outbound:
        """``name``: the instance in the settings. Opens nothing. Raises ``configuration.options.WrongOptions``."""
        ...


def load(adapter: str) -> OutboundFactory | None:
    """The class ``Outbound`` of ``channels/ussd/<adapter>/outbound.py``; None where the gateway only calls us."""
    factory: OutboundFactory | None = found(adapter, f"channels.ussd.{adapter}.outbound", "Outbound")
    return factory
