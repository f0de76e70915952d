"""What some gateways do beyond what each has to: a gateway that does more has these methods too."""

from __future__ import annotations

from datetime import datetime
from typing import IO, Protocol, runtime_checkable

from engine.recharge.gateways.contract import Event


@runtime_checkable
class OffersStatements(Protocol):
    """A gateway whose settlement files can be fetched: the reconciliation does so every day."""

    async def fetch_settlement(self, begins: datetime, ends: datetime) -> IO[str] | None:
        """What was settled from one time up to another, for ``read_settlement``; None: it is not to be had now.

        Whoever reads it closes it.
        """


@runtime_checkable
class AsksInSession(Protocol):
    """A gateway whose provider asks the payer itself, within their session on a channel of that provider.

    ``charge`` calls nobody: it says ``pending``, with the session as ``gateway_ref``, and the channel's answer hands
    the session over. Nobody else is asked for such a payment, and no other channel offers it.
    """

    #: what people call it
    brand: str

    async def conclude(self, event: Event, *, delivered: bool) -> bool:
        """Tell the provider what became of the order that an event told of. True once it has heard."""


@runtime_checkable
class OffersPage(Protocol):
    """A gateway whose provider has a page of its own on which a payer enters a card, who is not known to it before.

    ``charge`` of a payer with ``page`` answers ``pending``, with where the page is as ``action_url``. Until somebody
    has that link nobody can have paid.
    """

    #: False where the settings leave out what it needs
    has_page: bool
