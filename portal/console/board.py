"""What the pages of finance and operations share: their tags and notices, and forms that do something with a reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from dialogs.values import Text, text
from engine.words import EngineError
from portal.console import names
from portal.console.desk import Attendant, Desk
from portal.console.reasons import NotDone, reason_of

log = structlog.get_logger(__name__)

#: what a page says of what was just done: the last part of the link that leads back to it
DONE: dict[str, Text] = {
    "done": text("Done."),
    "released": text("Released: the payer is asked now."),
    "refused": text("Refused: the person is told."),
    "looked": text("Taken up again."),
    "listed": text("It is on the list now."),
    "unlisted": text("It is on no list any more."),
    "assigned": text("Assigned."),
    "resolved": text("Resolved."),
    "moved": text("The batch is in its new state."),
    "blocked": text("Blocked."),
    "resent": text("It is sent again."),
    "opened": text("The case is open."),
}

#: takes a form's fields, does what they ask for, and says where to go on
Work = Callable[[Mapping[str, str]], Awaitable[str]]


class Board:
    """Makes pages of one part of the console."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.engine = desk.engine

    def page(
        self, request: web.Request, person: Attendant, template: str, *, status: int = 200, **values: Any
    ) -> web.Response:
        """A page that can tell codes, and says what was just done."""
        told = DONE.get(request.query.get("done", ""))
        notice = "" if told is None else self.desk.say(person, told)
        return self.desk.page(
            request, person, template, status=status, **{"notice": notice, **self._shared(person), **values}
        )

    def part(self, request: web.Request, person: Attendant, template: str, **values: Any) -> str:
        """A part of such a page."""
        return self.desk.part(request, person, template, **{**self._shared(person), **values})

    def _shared(self, person: Attendant) -> dict[str, Any]:
        return {"tag": names.tagger(partial(self.desk.say, person)), "names": names}

    async def act(self, request: web.Request, person: Attendant, back: str, work: Work) -> web.Response:
        """Do what a form asks for, and go on to the page that ``work`` names; say why where it cannot be done.

        ``back`` is the page below ``/console`` that the form stands on. Raises 403 for a form that is not ours.
        """
        fields = await self.desk.form(request, person)
        told: Text | None = text("A reason must be given.")
        said = ""
        if fields.get("why", "").strip():
            try:
                return self.desk.go(await work(fields), person)
            except (NotDone, LookupError, ValueError, EngineError) as error:
                # What the engine says for itself names field and reason; it holds no number.
                told, said = reason_of(error), str(error)
        if told is not None:
            said = self.desk.say(person, told)
        log.info("console_not_done", path=request.path, staff=person.staff.name)
        return self.page(request, person, "not_done.html", status=422, reason=said, untold=told is None, back=back)
