"""What an adapter is made of: its own options, typed and refused by name, and what it is told of the installation.

An adapter is a folder ``engine/recharge/gateways/<adapter>/``. Its module ``gateway`` has a class ``Gateway``, which is
a ``GatewayFactory`` and makes a ``PaymentGateway``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from configuration.options import Options, WrongOptions
from engine.recharge.gateways.contract import PaymentGateway
from engine.words import PaymentMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What an adapter is told beside its options."""

    #: seconds for one call to the provider; what takes longer is ``unknown``
    timeout_seconds: float = 10.0
    #: where the provider reaches us, ``https://host``; empty: nowhere
    public_url: str = ""
    #: what the installation lets it serve; empty: all that the adapter can
    methods: frozenset[PaymentMethod] = frozenset()

    def callback_url(self, name: str, segment: str = "") -> str:
        """Where the provider of the gateway ``name`` calls us; empty while nobody outside reaches us."""
        if not self.public_url:
            return ""
        path = f"{self.public_url.rstrip('/')}/payments/{name}/callback"
        return f"{path}/{segment}" if segment else path

    def served(self, able: frozenset[PaymentMethod]) -> frozenset[PaymentMethod]:
        """The methods that the gateway serves. Raises ``WrongOptions`` for one that the adapter is not able to."""
        beyond = sorted(self.methods - able)
        if beyond:
            raise WrongOptions([("methods", f"{method} is not served by this adapter") for method in beyond])
        return self.methods or able


class GatewayFactory(Protocol):
    """The class ``Gateway`` of an adapter's module ``gateway``."""

    def __call__(self, name: str, options: Options, tools: Tools) -> PaymentGateway:
        """``name``: the instance in the settings. Opens nothing. Raises ``WrongOptions``."""
        ...
