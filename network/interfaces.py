"""All interfaces for other systems, put together and mounted."""

from __future__ import annotations

from aiohttp import web

from engine.api import Engine
from network import openapi
from network.endpoints import Interface
from network.http import Gate, problem_json
from network.nchf import service as nchf
from network.nchf.wire import ProblemDetails
from network.tmf import usage
from network.tmf.actions import Actions
from network.tmf.answers import refuse
from network.tmf.asking import Asking
from network.tmf.buckets import Buckets
from network.tmf.history import History
from network.tmf.hub import Hub
from network.tmf.lines import ROOT, Lines
from network.tmf.rendering import Rendering
from network.tmf.reservations import Reservations
from network.tmf.wire import Error
from runtime.keyring import Keyring
from settings import Settings


def interfaces(engine: Engine, keyring: Keyring, public_url: str = "") -> tuple[Interface, ...]:
    """What an installation offers; ``public_url`` is where others reach it."""
    lines = Lines(engine, keyring)
    rendering = Rendering(lines)
    asking = Asking(engine, lines, rendering)
    balances = (
        *Buckets(engine, lines).endpoints(),
        *Actions(engine, asking).endpoints(),
        *Reservations(engine, asking).endpoints(),
        *History(engine, lines, rendering).endpoints(),
        *Hub(engine, ROOT).endpoints(),
    )
    uses = (*usage.UsageManagement(engine, lines).endpoints(), *Hub(engine, usage.ROOT).endpoints())
    charging = nchf.ChargingData(engine, keyring, public_url).endpoints()
    problem, json = "application/problem+json", "application/json"
    return (
        Interface("Nchf_ConvergedCharging (3GPP TS 32.291)", nchf.API, charging, problem_json, ProblemDetails, problem),
        Interface("TMF654 Prepay Balance Management v4", ROOT, balances, refuse, Error, json),
        Interface("TMF635 Usage Management v4", usage.ROOT, uses, refuse, Error, json),
    )


def mount(application: web.Application, settings: Settings, engine: Engine, keyring: Keyring) -> None:
    """Serve them, for the clients of the settings' ``api_keys``, and their description at ``/api/docs``."""
    offered, gate = interfaces(engine, keyring, settings.public_url), Gate(settings.api_keys)
    for interface in offered:
        application.add_routes(interface.routes(gate))
    application.add_routes(openapi.routes(offered, settings.public_url))
