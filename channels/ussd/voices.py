"""Finds the voice of an adapter."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from channels.ussd.adapters import OWN, SPELLINGS
from channels.ussd.spelled.spelling import read_spelling
from channels.ussd.spelled.voice import SpelledVoice
from channels.ussd.voice import Voice
from configuration.options import Options

#: makes a session: its id, the caller's number in E.164, the service code
VoiceFactory = Callable[[str, str, str], Voice]


class NoVoice(Exception):
    """Nobody can speak as this gateway. ``args[0]`` is the adapter's name."""


def load_voice(adapter: str, options: Options) -> VoiceFactory:
    """What makes sessions of a gateway. Raises ``NoVoice``, ``WrongOptions`` for a data file that cannot be used."""
    if not adapter.isidentifier():
        raise NoVoice(adapter)
    file = Path(str(options.get("file", ""))) if adapter == OWN else SPELLINGS / f"{adapter}.toml"
    if adapter == OWN or file.is_file():
        return partial(SpelledVoice, read_spelling(file))
    module = f"channels.ussd.{adapter}.voice"
    try:
        factory: VoiceFactory = importlib.import_module(module).Voice
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            raise NoVoice(adapter) from error
        raise
    return factory
