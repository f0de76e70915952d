"""Finds adapters by the name that the settings give: a folder with a class, or a data file."""

from __future__ import annotations

from pathlib import Path

from channels.loading import found
from channels.ussd.contract import AdapterFactory
from channels.ussd.spelled.gateway import Spelled
from channels.ussd.spelled.spelling import Spelling, read_spelling
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
    spelling = spelling_of(adapter, options or {})
    if spelling is not None:
        return Spelled(spelling)
    factory: AdapterFactory | None = found(adapter, f"channels.ussd.{adapter}.gateway", "Gateway")
    if factory is None:
        raise UnknownAdapter(adapter)
    return factory


def spelling_of(adapter: str, options: Options) -> Spelling | None:
    """What an adapter's data file says; None where there is none. Raises ``WrongOptions`` for one that is of no use."""
    if adapter == OWN:
        file = options.get("file")
        if not isinstance(file, str) or not file:
            raise WrongOptions([("file", "is not set: where the gateway's data file lies")])
        return read_spelling(Path(file))
    shipped_one = SPELLINGS / f"{adapter}.toml"
    return read_spelling(shipped_one) if adapter.isidentifier() and shipped_one.is_file() else None


def shipped() -> list[str]:
    """The names of all adapters that come with the product, in order."""
    folders = {path.parent.name for name in ("gateway", "outbound") for path in FOLDER.glob(f"*/{name}.py")} - {OWN}
    return sorted(folders | {path.stem for path in SPELLINGS.glob("*.toml")})
