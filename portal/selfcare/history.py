"""What happened on an account: each booking, filtered, paged by key, and as a file for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from aiohttp import web

from dialogs.refusals import SENTENCES
from dialogs.values import Quantity, Text, text
from engine.api import Done, purpose_of
from engine.words import Answer, Code
from portal.selfcare.person import Desk, Person
from portal.selfcare.shown import KINDS

#: what people look for → kinds of operations
GROUPS: dict[str, tuple[Text, tuple[str, ...]]] = {
    "recharges": (text("Recharges"), ("recharge", "settle", "reverse", "restore", "advance")),
    "bundles": (text("Bundles"), ("purchase", "renew", "auto_renew", "refund", "expire", "extend")),
    "use": (text("Use"), ("charge", "usage", "session")),
    "gifts": (text("Gifts"), ("transfer", "received", "undo", "taken_back")),
}
#: everything that a person would look for; what sweepers and schedules do beside is not their history
EVERYTHING = tuple(kind for kind in KINDS if kind not in {"release_overdue", "set_aside", "return"})
#: kinds that say what for
_SAY_WHAT = frozenset({"purchase", "renew", "charge", "usage", "session"})
PAGE_ROWS, FILE_ROWS, FILE_PAGE = 20, 10_000, 200
#: what a spreadsheet may take for a formula (OWASP, "CSV injection"): some drop blanks before a sign, and some read
#: the full-width forms of Chinese and Japanese keyboards (U+FF0B, U+FF0D, U+FF1D, U+FF20) as the signs themselves
FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@\uff0b\uff0d\uff1d\uff20]")
NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Row(NamedTuple):
    """One booking as it is shown."""

    key: UUID
    at: datetime
    name: str
    reference: str
    #: what it was refused for, in words; nothing where it took effect
    refused: str
    #: (change with its sign, what is left, of which product)
    changes: tuple[tuple[str, str, str], ...]


def cell(value: str) -> str:
    """A field that a spreadsheet takes for text, unless it is a plain number."""
    return f"'{value}" if FORMULA.match(value) and not NUMBER.fullmatch(value) else value


class HistoryPages:
    """The history, and its file."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to."""
        return [
            web.get("/history", self._desk.signed_in(self._show)),
            web.get("/history.csv", self._desk.signed_in(self._file)),
        ]

    async def _show(self, request: web.Request, person: Person) -> web.Response:
        chosen = request.query.get("only", "")
        only = await self._desk.only_line(person)
        page = await self._page(person, only, chosen, begins_after(request), PAGE_ROWS + 1)
        rows = [row_of(self._desk, person, one.answer) for one in page[:PAGE_ROWS]]
        last = page[PAGE_ROWS - 1].answer if len(page) > PAGE_ROWS else None
        return self._desk.page(
            request,
            person,
            "history.html",
            here="/history",
            rows=rows,
            only=chosen if chosen in GROUPS else "",
            groups={name: self._desk.say(person, said) for name, (said, _) in GROUPS.items()},
            following="" if last is None else after_of(last),
        )

    async def _file(self, request: web.Request, person: Person) -> web.StreamResponse:
        """``GET history.csv``: times in UTC (ISO 8601), amounts as integers of the unit's smallest part."""
        response = web.StreamResponse(headers={"Content-Disposition": 'attachment; filename="history.csv"'})
        response.content_type, response.charset = "text/csv", "utf-8"
        await response.prepare(request)
        await response.write(_line("time", "kind", "reference", "code", "product", "unit", "change", "left"))
        async for one in self._all(person, request.query.get("only", "")):
            answer = one.answer
            said = (answer.booked_at.isoformat(), answer.kind, answer.reference, answer.code)
            effects: Sequence[Any] = answer.effects or (None,)
            for effect in effects:
                moved = ("", "", "", "")
                if effect is not None:
                    change = str(effect.after - effect.before)
                    moved = (effect.product, effect.unit.value, change, str(effect.after))
                await response.write(_line(*said, *moved))
        await response.write_eof()
        return response

    # -- parts ------------------------------------------------------------------------------------------------------

    async def _page(
        self, person: Person, only: UUID | None, chosen: str, after: tuple[datetime, UUID] | None, most: int
    ) -> list[Done]:
        kinds, account = GROUPS[chosen][1] if chosen in GROUPS else EVERYTHING, person.subscriber.account
        return await self._desk.engine.operations(account, kinds=kinds, line_id=only, after=after, most=most)

    async def _all(self, person: Person, chosen: str) -> AsyncIterator[Done]:
        only = await self._desk.only_line(person)
        after: tuple[datetime, UUID] | None = None
        for _ in range(FILE_ROWS // FILE_PAGE):
            page = await self._page(person, only, chosen, after, FILE_PAGE)
            for one in page:
                yield one
            if len(page) < FILE_PAGE:
                return
            after = (page[-1].answer.booked_at, page[-1].answer.key)


def row_of(desk: Desk, person: Person, answer: Answer) -> Row:
    """One booking in a person's words."""
    write = partial(desk.texts.write, person.language)
    currency = person.subscriber.currency
    changes = []
    for effect in answer.effects:
        sign = "+" if effect.after > effect.before else "−"
        moved = write(Quantity(effect.unit, abs(effect.after - effect.before), currency))
        left = write(Quantity(effect.unit, effect.after, currency))
        changes.append((desk.signed(person, sign, moved), left, effect.product))
    what = purpose_of(answer) if answer.kind in _SAY_WHAT else None
    if any(what == one.code for one in desk.operator.products):
        what = desk.product(person, str(what))
    refused = "" if answer.ok else write(SENTENCES[Code(answer.code)])
    name = write(KINDS[answer.kind]) + (f": {what}" if what else "")
    return Row(answer.key, answer.booked_at, name, answer.reference, refused, tuple(changes))


def after_of(answer: Answer) -> str:
    """Where the page after a booking begins, for a link."""
    return f"{answer.booked_at.isoformat()}|{answer.key}"


def begins_after(request: web.Request) -> tuple[datetime, UUID] | None:
    """The last row of the page before, as a link of ours says it. Raises 400 for anything else."""
    said = request.query.get("after")
    if said is None:
        return None
    moment, _, key = said.partition("|")
    try:
        at, after = datetime.fromisoformat(moment), UUID(key)
    except ValueError:
        at = datetime.min  # noqa: DTZ901 - without a zone: told below
    if at.tzinfo is None:
        raise web.HTTPBadRequest(text="after: not a row of this history")
    return at, after


def _line(*cells: str) -> bytes:
    """One line of CSV (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out).writerow([cell(one) for one in cells])
    return out.getvalue().encode()
