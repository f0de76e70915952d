"""A message centre as its adapters hold it: the links to it, and what has come in over them."""

from __future__ import annotations

import asyncio

from channels.smpp.arrivals import Arrivals
from channels.smpp.client.link import Link, LinkState, Mode
from channels.smpp.client.session import Handler
from channels.smpp.options import CentreOptions


class Centre:
    """Bound, kept bound and let go. Extend it: what is sent goes over ``_out``."""

    def __init__(
        self, name: str, options: CentreOptions, arrivals: Arrivals, handler: Handler, *, listens: bool = True
    ) -> None:
        """``handler`` takes what the centre delivers, which is nothing where nobody ``listens``.

        Opens nothing. Raises ``WrongOptions``.
        """
        if not listens:
            modes = [Mode.TRANSMITTER]
        elif options.bind == "transceiver":
            modes = [Mode.TRANSCEIVER]
        else:
            modes = [Mode.TRANSMITTER, Mode.RECEIVER]
        account = options.account()
        self._links = [Link(name, account, mode, handler) for mode in modes]
        self._out = self._links[0]
        self._arrivals = arrivals

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        for link in self._links:
            link.start()

    async def close(self) -> None:
        """Let what is under way end, unbind, hang up."""
        await asyncio.gather(*(link.stop() for link in self._links))
        await self._arrivals.settle()

    @property
    def states(self) -> tuple[LinkState, ...]:
        """What each link is doing. ``LinkState.REFUSED`` needs a person: the centre does not take our credentials."""
        return tuple(link.state for link in self._links)

    @property
    def connected(self) -> bool:
        """Whether all links are bound; where one is not, the log says why."""
        return all(state is LinkState.BOUND for state in self.states)

    async def bound(self, seconds: float) -> bool:
        """Wait until all links are bound, at most so many seconds. Whether they are."""
        return all(await asyncio.gather(*(link.bound(seconds) for link in self._links)))
