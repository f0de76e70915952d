"""Inputs fed to the dialogs one by one: what a person typed on one screen, or a whole session from its start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from channels.inputs import Inputs
from channels.session import Session
from channels.turn import Profile
from dialogs.machine import BACK_KEY, MORE_KEY, Machine
from dialogs.said import Screen
from dialogs.steps import Step
from dialogs.typed import typed_text
from dialogs.words import Context


class Player:
    """Walks the machine, and turns the pages of screens that are longer than a gateway shows at once."""

    def __init__(self, machine: Machine, pages: Callable[[Screen, Context, Profile], Sequence[str]]) -> None:
        """``pages`` lays a screen out as it will be shown."""
        self._machine = machine
        self._pages = pages

    async def __call__(
        self,
        fed: Inputs,
        session: Session | None,
        context: Context,
        profile: Profile,
        *,
        start: Step | None = None,
        shown: bool = True,
    ) -> tuple[Step, int]:
        """Feed the inputs to the dialogs, one by one; ``98`` and ``0`` turn pages where there are any.

        Played from the ``start``, they come to a money step that nobody has taken: its screen is shown, whatever inputs
        are left, because a number dialled twice must not pay twice. One that was taken under this key before is a
        session that was lost, and goes on. While nothing can be remembered (not ``shown``), only a step that was
        done a moment ago under another key is shown again: else nobody could ever say yes to it.
        """
        step = start
        place, page = (cast(Session, session).place, cast(Session, session).page) if step is None else (step.place, 0)
        for text in fed.texts:
            if step is not None and (step.ends or (start is not None and (step.waits if shown else step.again))):
                break
            key = typed_text(text)
            if key == MORE_KEY or (key == BACK_KEY and page > 0):
                current = step or await self._machine.show(place, context)
                turned = page + 1 if key == MORE_KEY else page - 1
                if turned < len(self._pages(current.screen, context, profile)):
                    step, page = current, turned
                    continue
            step = await self._machine.say(place, text, context)
            place, page = step.place, 0
        # A cumulative hop that adds nothing is a retry: answered before it comes here.
        return step or await self._machine.show(place, context), page
