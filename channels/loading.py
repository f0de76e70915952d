"""Finds what makes adapters: a class in the folder that the settings name."""

from __future__ import annotations

import importlib
from typing import Any


def found(adapter: str, path: str, name: str) -> Any | None:
    """``name`` in the module ``path``, such as ``channels.ussd.hubtel.gateway``; None where there is no such module.

    ``adapter``: the part of the path that the settings give. Raises what a module raises that is there and broken.
    """
    if not adapter.isidentifier():  # a dot in it would lead into another folder
        return None
    try:
        return getattr(importlib.import_module(path), name)
    except ModuleNotFoundError as error:
        if error.name is not None and path.startswith(error.name):
            return None
        raise
