"""The demo's RADIUS and Diameter ports, for access servers and packet gateways on this machine."""

from __future__ import annotations

import json
import os
import secrets
import socket

from runtime.embedded.process import free_port
from settings import Operator, Settings, load_settings

#: what usually carries ordinary data: the operator's first category, where there is any
_NO_CATEGORY = 0


def open_network(settings: Settings, operator: Operator) -> Settings:
    """The settings with both servers, on ports that are free now, unless the user has set their own.

    They are put into the environment too, for the processes to come.
    """
    groups = [group for category in operator.categories for group in category.rating_groups]
    rating_group = groups[0] if groups else _NO_CATEGORY
    if settings.radius is None:
        client = {
            "addresses": ["127.0.0.0/8", "::1"],
            "secret": secrets.token_urlsafe(24),
            "rating_group": rating_group,
        }
        radius = {"host": "127.0.0.1", "port": _free_udp_port(), "clients": {"local": client}}
        os.environ["RASID_RADIUS"] = json.dumps(radius)
    if settings.diameter is None:
        peer = {"addresses": ["127.0.0.0/8", "::1"], "rating_group": rating_group}
        diameter = {
            "host": "127.0.0.1",
            "port": free_port(),
            "origin_host": "ocs.rasid.example",
            "origin_realm": "rasid.example",
            "peers": {"*": peer},
        }
        os.environ["RASID_DIAMETER"] = json.dumps(diameter)
    return load_settings()


def _free_udp_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
