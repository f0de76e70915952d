"""An adapter's own settings (``gateways.<name>.options`` and its kin), checked before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from configuration.base import Strict, problems_of

#: as they stand in the settings
Options = Mapping[str, str | int | bool | tuple[str, ...]]


class OptionsModel(Strict):
    """The base of an adapter's options."""


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
        raise WrongOptions(problems_of(error, "together")) from None
