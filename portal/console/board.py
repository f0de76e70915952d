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
from portal.console.desk import ROOT, Attendant, Desk
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

#: why what a form asked for was not done, for the page that shows the form again
NOT_DONE = web.RequestKey("not_done", str)

#: takes a form's fields, does what they ask for, and says where to go on
Work = Callable[[Mapping[str, str]], Awaitable[str]]
#: the page that a form stands on
Form = Callable[[web.Request, Attendant], Awaitable[web.Response]]


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
        said = {"notice": "" if told is None else self.desk.say(person, told)}
        if NOT_DONE in request:
            said, status = {"problem": request[NOT_DONE]}, 422
        return self.desk.page(request, person, template, status=status, **{**said, **self._shared(person), **values})

    def part(self, request: web.Request, person: Attendant, template: str, **values: Any) -> str:
        """A part of such a page."""
        return self.desk.part(request, person, template, **{**self._shared(person), **values})

    def _shared(self, person: Attendant) -> dict[str, Any]:
        return {"tag": names.tagger(partial(self.desk.say, person)), "names": names}

    async def act(self, request: web.Request, person: Attendant, form: Form, work: Work) -> web.Response:
        """Do what a form asks for, and go on to the page that ``work`` names; say why where it cannot be done.

        ``form`` is the page that the form stands on: it is shown again, filled as it was. Where that is not there any
        more, the list that it belongs to is where to go on. Raises 403 for a form that is not ours.
        """
        fields = await self.desk.form(request, person)
        told = text("A reason must be given.")
        if fields.get("why", "").strip():
            try:
                return self.desk.go(await work(fields), person)
            except (NotDone, LookupError, ValueError, EngineError) as error:
                # What the engine says for itself names field and reason; it holds no number.
                said = f"\u2066{error}\u2069"
                told = reason_of(error) or text("The system refused this. It says: {reason}", reason=said)
        log.info("console_not_done", path=request.path, staff=person.staff.name)
        unchanged = self.desk.say(person, text("Nothing was changed."))
        request[NOT_DONE] = f"{self.desk.say(person, told)} {unchanged}"
        try:
            return await form(request, person)
        except web.HTTPNotFound:
            above = request.path.removeprefix(ROOT).split("/")[1]
            return self.page(request, person, "not_done.html", here=f"/{above}")
