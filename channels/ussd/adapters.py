"""Finds adapters by the name that the settings give."""

from __future__ import annotations

import importlib

from channels.ussd.contract import AdapterFactory


class UnknownAdapter(Exception):
    """The settings name a gateway that has no folder. ``args[0]`` is the name."""


def load(adapter: str) -> AdapterFactory:
    """The class ``Gateway`` of ``channels/ussd/<adapter>/gateway.py``. Raises ``UnknownAdapter``."""
    if not adapter.isidentifier():
        raise UnknownAdapter(adapter)
    module = f"channels.ussd.{adapter}.gateway"
    try:
        factory: AdapterFactory = importlib.import_module(module).Gateway
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            raise UnknownAdapter(adapter) from error
        raise
    return factory
