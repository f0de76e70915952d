"""The words between a gateway's adapter and the conversation: one turn in, one reply out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from dialogs.checkout import Checkout
from engine.words import CheckoutSession


class Event(StrEnum):
    """What a hop means for its session (the vocabulary of Vumi's session events)."""

    #: the first hop of a session
    NEW = "new"
    RESUME = "resume"
    #: the person or the network ended it; nobody reads an answer
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One input from a person, in our words.

    ``text`` is what the gateway sent: with ``cumulative`` all inputs so far joined by ``*``, otherwise the latest
    one. It may hold secrets, so it is never stored or logged: only a keyed digest and its length are.
    """

    channel: str
    gateway: str
    #: empty where the gateway has none: ``channels.pointers`` names the session
    session_id: str
    #: E.164 with ``+`` or whatever the gateway sent: read by the engine; empty where the hop carries none:
    #: ``channels.pointers`` finds it by the session
    msisdn: str = field(repr=False)
    text: str = field(repr=False)
    #: None where the gateway does not say
    event: Event | None = None
    #: what was dialled behind the code if this is its session's first hop, which it is if nobody knows the session;
    #: None where the gateway says which hop is the first, and for what cannot be one
    dialled: str | None = field(default=None, repr=False)
    cumulative: bool = False
    #: what was dialled, as the gateway names it: ``*123#``
    service_code: str = ""
    #: the gateway's own number of this hop, where ``text`` alone cannot tell a retry from the same input twice
    sequence: str = ""
    #: False while no session can be kept: the inputs are then played from the start with every hop
    remembered: bool = True
    #: later hops of the session name neither the number nor ``kept``: both are stored for them, sealed
    pointed: bool = False
    #: a name that the gateway may use for the session instead of its id, and uses again for other sessions later
    alias: str = ""
    #: what the adapter wants to have back with later hops of a ``pointed`` session
    kept: str = field(default="", repr=False)
    #: the state at which a session of ours begins (``channels.push``); empty: where people begin
    begins: str = ""
    #: the gateway says of a session that is over that the person has seen its last screen
    heard_out: bool = False
    #: fields of the request that the adapter's answer repeats; never stored
    echo: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def unnumbered(self) -> bool:
        """Nothing in the hop tells a retry from the same input typed twice."""
        return not self.cumulative and not self.sequence

    @property
    def may_begin(self) -> bool:
        """Whether a session that nobody knows can begin with this hop; otherwise it has been lost."""
        return self.cumulative or self.event is Event.NEW or self.dialled is not None


class Reply(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What the person sees next. ``label`` is the state's name, for the gateway's own analytics."""

    text: str
    ends: bool
    label: str = ""
    #: what the gateway is to take in this session, if it can: ``Profile.checkout``
    checkout: Checkout | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much one screen of a gateway holds: GSM 03.38 septets, or UCS-2 units when a text needs them.

    Source: 3GPP TS 23.038 §5 and §6.1; 160 octets hold 182 septets or 80 UCS-2 units.
    """

    septets: int = 182
    ucs2: int = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the conversation must know of one configured gateway; how it spells its requests is the adapter's."""

    budget: Budget = Budget()
    #: seconds from the arrival of a hop until the gateway gives up on the answer
    deadline_seconds: float = 10.0
    #: seconds the gateway lets one whole session last
    session_seconds: int = 180
    #: the payment gateway that takes money within this gateway's own sessions; empty: none does
    checkout: str = ""

    def checkout_in(self, turn: Turn) -> CheckoutSession | None:
        """The session in which a person can be asked to pay, if they can."""
        return CheckoutSession(self.checkout, turn.session_id) if self.checkout else None


class Malformed(Exception):
    """A request that the gateway's own format does not allow. ``args`` are the field and the reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason


class Unreadable(Malformed):
    """A request like any other, but for what the person typed: they see the answer, not an engineer."""
