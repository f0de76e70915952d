"""Finds the voice of an adapter."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from channels.loading import found
from channels.ussd.adapters import spelling_of
from channels.ussd.spelled.voice import SpelledVoice
from channels.ussd.voice import Voice
from configuration.options import Options

#: makes a session: its id, the caller's number in E.164, the service code
VoiceFactory = Callable[[str, str, str], Voice]


class NoVoice(Exception):
    """Nobody can speak as this gateway. ``args[0]`` is the adapter's name."""


def load_voice(adapter: str, options: Options) -> VoiceFactory:
    """What makes sessions of a gateway. Raises ``NoVoice``, ``WrongOptions`` for a data file that cannot be used."""
    spelling = spelling_of(adapter, options)
    if spelling is not None:
        return partial(SpelledVoice, spelling)
    factory: VoiceFactory | None = found(adapter, f"channels.ussd.{adapter}.voice", "Voice")
    if factory is None:
        raise NoVoice(adapter)
    return factory
