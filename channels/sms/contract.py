"""What an SMS carrier's adapter is: it spells texts as the carrier does and back. It never imports the engine.

An adapter is a folder ``channels/sms/<name>/``. Its module ``carrier`` has a class ``Carrier`` that sends; where the
carrier calls us over HTTP, its module ``webhook`` has a class ``Webhook`` that reads what it sends. Who sends over a
connection that also brings texts (SMPP) hands these to ``Tools.on_incoming`` and ``Tools.on_report`` instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol
from uuid import UUID

from redis.asyncio import Redis

from configuration.options import Options, OptionsModel, WrongOptions, read_options
from engine.words import DeliveryState
from runtime.keyring import Keyring

__all__ = [
    "Carrier",
    "CarrierError",
    "CarrierFactory",
    "DeliveryState",
    "ErrorKind",
    "Incoming",
    "Options",
    "OptionsModel",
    "Outgoing",
    "Posted",
    "Report",
    "Response",
    "Sent",
    "Speech",
    "Tools",
    "Unverified",
    "Webhook",
    "WebhookFactory",
    "WrongOptions",
    "read_options",
]

#: what a carrier speaks: ordinary texts, or WhatsApp to the same numbers
Speech = Literal["sms", "whatsapp"]


# --- out ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message to one person. ``message_id`` is the same each time it is sent, so a carrier can drop doubles."""

    message_id: UUID
    #: E.164 with ``+``
    to: str = field(repr=False)
    sender: str
    text: str = field(repr=False)
    at: datetime


class Sent(NamedTuple):
    """The carrier has taken the text. ``carrier_id`` is its name for it in reports; None where it gives none."""

    carrier_id: str | None


class ErrorKind(StrEnum):
    """What a carrier's refusal means for the text."""

    #: a passing trouble: the same carrier may take it later
    RETRY = "retry"
    #: too fast: later, and slower
    THROTTLED = "throttled"
    #: no carrier will ever deliver it
    PERMANENT = "permanent"
    #: not by this carrier: another may
    REROUTE = "reroute"
    #: it may have been sent: a text about money is never sent again blindly
    UNKNOWN = "unknown"


class CarrierError(Exception):
    """The carrier did not take the text, or did not say. ``args[0]`` is the reason: a code, never what was sent.

    ``retry_after``: seconds the carrier asks us to wait, where it does.
    """

    def __init__(self, reason: str, kind: ErrorKind, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind
        self.retry_after = retry_after


class Carrier(Protocol):
    """Where texts go."""

    async def send(self, outgoing: Outgoing) -> Sent:
        """Hand over one text. Raises ``CarrierError``."""
        ...

    async def start(self) -> None:
        """Called once before the first text: open what is kept open. Returns at once, whether or not it is open."""
        ...

    async def close(self) -> None:
        """Finish what is on its way, then let the connections go."""
        ...


# --- in ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One text from a person. ``carrier_id`` is the same each time the carrier repeats it."""

    #: the carrier's name in the settings
    carrier: str
    carrier_id: str
    #: as the carrier spells it: the engine reads it
    sender: str = field(repr=False)
    #: our number, code or name that was written to
    to: str
    text: str = field(repr=False)
    at: datetime
    #: the carrier itself recognised a wish to hear no more, or to hear again
    opt: Literal["stop", "start"] | None = None
    #: the carrier has answered the person itself (its own STOP, START and HELP): another answer would be one too many
    answered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a text that the carrier had taken."""

    carrier: str
    carrier_id: str
    #: the same id as the carrier may have spelt it when it took the text (SMPP: decimal, hexadecimal)
    other_ids: tuple[str, ...] = ()
    state: DeliveryState
    #: the carrier's code for what went wrong
    error: str | None
    at: datetime


class Posted(NamedTuple):
    """The facts of one HTTP request that a webhook is verified and read by."""

    #: as the carrier called it: public scheme, host, path and query
    url: str
    #: names compare without case
    headers: Mapping[str, str]
    body: bytes


class Response(NamedTuple):
    """What goes back over HTTP, ready to send."""

    status: int
    content_type: str
    body: bytes


class Unverified(Exception):
    """Not from the carrier, as far as its signature tells. ``args[0]`` is the reason, a code."""


class Webhook(Protocol):
    """How a carrier calls us. ``channels.turn.Malformed`` names the field and the reason, never the value."""

    #: whether ``reply`` carries a text to the person; otherwise the answer goes out as a text of its own
    replies: bool

    def verify(self, posted: Posted) -> None:
        """Raises ``Unverified`` unless the carrier signed this very request; without signatures does nothing."""
        ...

    def read_incoming(self, posted: Posted) -> Incoming:
        """A text from a person. Raises ``Malformed``."""
        ...

    def read_report(self, posted: Posted) -> Report | None:
        """A delivery report; None for a state that tells nothing we keep. Raises ``Malformed``."""
        ...

    def read_optout(self, posted: Posted) -> str:
        """The number of someone who told the carrier to be left alone. Raises ``Malformed``."""
        ...

    def reply(self, text: str | None) -> Response:
        """The answer to any of the three: None says nothing to the person and stops the carrier from repeating."""
        ...


# --- made of ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What an adapter may use. The two handlers return once what they were given is committed."""

    redis: Redis
    keyring: Keyring
    channel: Speech = "sms"
    #: where the carrier reaches us, ``https://host``, for the status callback of each text; empty: no callbacks
    public_url: str = ""
    #: the path segment only the carrier knows; empty: none
    secret_path: str = ""
    on_incoming: Callable[[Incoming], Awaitable[None]] | None = None
    on_report: Callable[[Report], Awaitable[None]] | None = None

    def status_url(self, name: str) -> str:
        """Where the carrier ``name`` reports what became of a text; empty while nobody outside reaches us."""
        if not self.public_url:
            return ""
        path = f"{self.public_url.rstrip('/')}/sms/{name}/status"
        return f"{path}/{self.secret_path}" if self.secret_path else path


class CarrierFactory(Protocol):
    """The class ``Carrier`` of an adapter's module ``carrier``."""

    def __call__(self, name: str, options: Options, tools: Tools) -> Carrier:
        """``name``: the instance in the settings. Opens nothing. Raises ``WrongOptions``."""
        ...


class WebhookFactory(Protocol):
    """The class ``Webhook`` of an adapter's module ``webhook``."""

    def __call__(self, name: str, options: Options, *, channel: Speech = "sms") -> Webhook:
        """``name``: the instance in the settings. Raises ``WrongOptions``."""
        ...
