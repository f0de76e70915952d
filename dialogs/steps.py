"""Where an input has led: a state with what its screen needs, and the screen once it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dialogs.checkout import Checkout, Till
from dialogs.said import Screen
from dialogs.words import MoneyStep, Place, Say, State


@dataclass(slots=True)
class Shown:
    """A state with all that its screen needs."""

    state: State
    place: Place
    data: dict[str, Any]
    #: a money step that the engine has answered under this very key: these inputs were played before
    taken: bool = False


class Step:
    """Where a person stands after an input, and what they see there.

    The screen is worked out when it is asked for: of inputs that are played in a row only the last one's is.
    """

    def __init__(self, shown: Shown, render: Callable[[], Screen]) -> None:
        """``render`` makes the screen of what is ``shown``; it is called once at most."""
        self.shown = shown
        self.place = shown.place
        self.ends = isinstance(shown.state, Say)
        #: a money step that nobody has taken yet: the engine holds no answer under its key
        self.waits = isinstance(shown.state, MoneyStep) and not shown.taken
        #: the same was done a moment ago under another key, and the screen asks whether to do it again
        self.again = self.waits and "done_at" in shown.data
        #: what the channel has to take itself now
        self.checkout: Checkout | None = shown.state.asks(shown.data) if isinstance(shown.state, Till) else None
        self._render = render

    @cached_property
    def screen(self) -> Screen:
        """What the person sees."""
        return self._render()
