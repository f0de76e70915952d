"""What a USSD gateway's adapter is: it spells the gateway's words as ours and back, and holds no other logic.

An adapter is a module ``channels/ussd/<name>/gateway.py`` with a class ``Gateway``. It never imports the engine.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from channels.forms import single
from channels.turn import Malformed, Reply, Turn

#: more fields than any gateway sends: a longer form is refused before it is read
FIELD_LIMIT = 40


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


class Adapter(Protocol):
    """One gateway's wire format."""

    #: seconds the gateway lets one whole session last
    session_seconds: int
    #: every outcome ``read_event`` can return: metrics label, so it must be bounded
    outcomes: frozenset[str]

    def read(self, body: bytes) -> Turn:
        """A hop. Raises ``Malformed`` with the field and the reason."""
        ...

    def write(self, reply: Reply) -> Response:
        """The answer to a hop: the same bytes for the same reply."""
        ...

    def write_malformed(self, error: Malformed) -> Response:
        """The answer to a request that could not be read."""
        ...

    def read_event(self, body: bytes) -> SessionEnd:
        """An end-of-session event. Raises ``Malformed``."""
        ...

    def write_event(self) -> Response:
        """The answer that tells the gateway to stop repeating the event."""
        ...


class AdapterFactory(Protocol):
    """The class ``Gateway`` of an adapter's module."""

    session_seconds: int

    def __call__(self, name: str, service_code: str) -> Adapter:
        """``name``: the instance in the settings. ``service_code``: what people dial, without ``*`` and ``#``."""
        ...


class UnknownAdapter(Exception):
    """The settings name a gateway that has no folder. ``args[0]`` is the name."""


def load(adapter: str) -> AdapterFactory:
    """The class ``Gateway`` of ``channels/ussd/<adapter>/gateway.py``. Raises ``UnknownAdapter``."""
    if not adapter.isidentifier():
        raise UnknownAdapter(adapter)
    module = f"channels.ussd.{adapter}.gateway"
    try:
        factory: AdapterFactory = importlib.import_module(module).Gateway
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            raise UnknownAdapter(adapter) from error
        raise
    return factory


def form(body: bytes) -> dict[str, str]:
    """The fields of a posted form, each at most once. Raises ``Malformed``."""
    return single(body, FIELD_LIMIT)
