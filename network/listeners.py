"""The network's own ports beside HTTP, RADIUS and Diameter, and the workers that tell it of changes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

from engine.api import Engine
from network.changes import Changes
from network.diameter import gy
from network.diameter.server import DiameterServer
from network.radius import accounting
from network.radius.change import ChangeClient
from network.radius.server import RadiusServer
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Settings


class Listeners:
    """What the settings ask for; nothing if they ask for none."""

    def __init__(self, settings: Settings, engine: Engine, keyring: Keyring, metrics: Metrics) -> None:
        """Raises ``SettingsError`` where something could not be rated."""
        self._workers: list[Changes] = []
        self.radius: RadiusServer | None = None
        self.diameter: DiameterServer | None = None
        self._change: ChangeClient | None = None
        if settings.radius is not None:
            self.radius = RadiusServer(engine, settings.radius, keyring, metrics)
            self._change = ChangeClient(settings.radius)
            self._workers.append(Changes(engine, accounting.INTERFACE, self._change.tell))
        if settings.diameter is not None:
            self.diameter = DiameterServer(engine, settings.diameter, metrics)
            self._workers.append(Changes(engine, gy.INTERFACE, self.diameter.tell))

    async def start(self, *, reuse_port: bool = False) -> dict[str, int]:
        """Listen. Returns interface → port; raises ``OSError`` if one is taken."""
        servers = {accounting.INTERFACE: self.radius, gy.INTERFACE: self.diameter}
        return {
            name: await server.start(reuse_port=reuse_port) for name, server in servers.items() if server is not None
        }

    def works(self, stop: asyncio.Event) -> Iterator[Coroutine[Any, Any, None]]:
        """What tells the network of changes until ``stop``: parts of the process, each."""
        return (worker.run(stop) for worker in self._workers)

    async def close(self) -> None:
        """Finish what is under way, then let the ports go. The workers have ended by then."""
        for part in (self.radius, self.diameter, self._change):
            if part is not None:
                await part.close()
