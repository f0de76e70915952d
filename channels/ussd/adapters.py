"""Finds adapters by the name that the settings give: a folder with a class, or a data file."""

from __future__ import annotations

import importlib
from pathlib import Path

from channels.ussd.contract import AdapterFactory
from channels.ussd.spelled.gateway import Spelled
from channels.ussd.spelled.spelling import read_spelling
from configuration.options import Options, WrongOptions

FOLDER = Path(__file__).parent
#: data files that come with the product
SPELLINGS = FOLDER / "spelled"
#: the adapter's name where the data file is the operator's own
OWN = "spelled"


class UnknownAdapter(Exception):
    """The settings name a gateway that has neither folder nor data file. ``args[0]`` is the name."""


def load(adapter: str, options: Options | None = None) -> AdapterFactory:
    """What makes adapters: the class ``Gateway`` of ``channels/ussd/<adapter>/gateway.py``, or that of a data file.

    Raises ``UnknownAdapter``, ``WrongOptions`` for a data file that cannot be used.
    """
    if not adapter.isidentifier():
        raise UnknownAdapter(adapter)
    if adapter == OWN:
        file = (options or {}).get("file")
        if not isinstance(file, str) or not file:
            raise WrongOptions([("file", "is not set: where the gateway's data file lies")])
        return Spelled(read_spelling(Path(file)))
    if (SPELLINGS / f"{adapter}.toml").is_file():
        return Spelled(read_spelling(SPELLINGS / f"{adapter}.toml"))
    module = f"channels.ussd.{adapter}.gateway"
    try:
        factory: AdapterFactory = importlib.import_module(module).Gateway
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            raise UnknownAdapter(adapter) from error
        raise
    return factory


def shipped() -> list[str]:
    """The names of all adapters that come with the product, in order."""
    folders = {path.parent.name for name in ("gateway", "outbound") for path in FOLDER.glob(f"*/{name}.py")} - {OWN}
    return sorted(folders | {path.stem for path in SPELLINGS.glob("*.toml")})
