"""What an adapter is made of: its own options, typed and refused by name, and what it is told of the installation.

An adapter is a folder ``engine/recharge/gateways/<adapter>/``. Its module ``gateway`` has a class ``Gateway``, which is
a ``GatewayFactory`` and makes a ``PaymentGateway``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.recharge.gateways.contract import PaymentGateway
from engine.words import PaymentMethod

#: an adapter's own settings, as they stand under ``payment_gateways.<name>.options``
Options = Mapping[str, str | int | bool | tuple[str, ...]]


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


class OptionsModel(BaseModel):
    """The base of an adapter's options: unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WrongOptions(Exception):
    """``args[0]``: pairs of option and reason; never a value, which may be a secret."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__(problems)
        self.problems = problems


Model = TypeVar("Model", bound=OptionsModel)


def read_options(model: type[Model], options: Options) -> Model:
    """The adapter's options, checked. Raises ``WrongOptions``."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise WrongOptions(
            [(".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, ")) for problem in problems]
        ) from None
