"""All interfaces for other systems, put together and mounted."""

from __future__ import annotations

from aiohttp import web

from engine.api import Engine
from network import openapi
from network.endpoints import Interface
from network.http import Gate, problem_json
from network.nchf.service import ChargingData
from network.nchf.wire import ProblemDetails
from network.tmf import usage
from network.tmf.actions import Actions
from network.tmf.answers import refuse
from network.tmf.buckets import Buckets
from network.tmf.history import History
from network.tmf.hub import Hub
from network.tmf.lines import ROOT, Lines
from network.tmf.rendering import Rendering
from network.tmf.wire import Error
from runtime.keyring import Keyring
from settings import Settings


def interfaces(engine: Engine, keyring: Keyring, public_url: str = "") -> tuple[Interface, ...]:
    """What an installation offers; ``public_url`` is where others reach it."""
    lines = Lines(engine, keyring)
    rendering = Rendering(lines)
    balances = (
        *Buckets(engine, lines).endpoints(),
        *Actions(engine, lines, rendering).endpoints(),
        *History(engine, lines, rendering).endpoints(),
        *Hub(engine, ROOT).endpoints(),
    )
    uses = (*usage.UsageManagement(engine, lines).endpoints(), *Hub(engine, usage.ROOT).endpoints())
    charging = ChargingData(engine, keyring, public_url).endpoints()
    problem = "application/problem+json"
    return (
        Interface("Nchf_ConvergedCharging (3GPP TS 32.291)", charging, problem_json, ProblemDetails, problem),
        Interface("TMF654 Prepay Balance Management v4", balances, refuse, Error, "application/json"),
        Interface("TMF635 Usage Management v4", uses, refuse, Error, "application/json"),
    )


def mount(application: web.Application, settings: Settings, engine: Engine, keyring: Keyring) -> None:
    """Serve them, for the clients of the settings' ``api_keys``, and their description at ``/api/docs``."""
    offered, gate = interfaces(engine, keyring, settings.public_url), Gate(settings.api_keys)
    for interface in offered:
        application.add_routes(interface.routes(gate))
    application.add_routes(openapi.routes(offered, settings.public_url))
