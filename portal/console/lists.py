"""Whom staff blocks or trusts. Who it is cannot be read from a list: it is looked for, put on it, and taken off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from aiohttp import web

from dialogs.values import text
from engine.words import BadNumber, Listed, ListKind, Role, Subscriber, UnknownLine
from portal.console.board import Board
from portal.console.desk import STAFF, Attendant, Desk, Route, get, post
from portal.console.names import LIST_KINDS, LISTED
from portal.console.paging import ROWS, read_bytes_key, write_key
from portal.console.reasons import NOT_OFFERED, NotDone

LISTING = frozenset({Role.FINANCE, Role.ADMIN})
#: days that somebody may be listed for
MOST_DAYS = 3650


class ListPages:
    """The block and allow list."""

    def __init__(self, desk: Desk) -> None:
        self._board = Board(desk)
        self._engine = desk.engine

    def routes(self) -> Sequence[Route]:
        """What they answer to."""
        return [
            get("/lists", STAFF, self._list),
            post("/lists", LISTING, self._put),
            post("/lists/off", LISTING, self._take_off),
        ]

    async def _list(self, request: web.Request, person: Attendant) -> web.Response:
        after = read_bytes_key(request)
        rows = await self._engine.lists.entries(after=after, limit=ROWS + 1)
        return self._board.page(
            request,
            person,
            "lists.html",
            here="/lists",
            rows=[entry for entry, _ in rows[:ROWS]],
            following=write_key(*rows[ROWS - 1][1]) if len(rows) > ROWS else "",
            first=after is None,
            may_list=person.may(LISTING),
        )

    async def _put(self, request: web.Request, person: Attendant) -> web.Response:
        async def work(fields: Mapping[str, str]) -> str:
            """Blocks or trusts, for so many days or for good."""
            kind, who = await self._meant(fields)
            if fields.get("verdict", "") not in LISTED:
                raise NotDone(NOT_OFFERED)
            said = fields.get("days", "").strip() or "0"
            if not said.isascii() or not said.isdecimal() or int(said) > MOST_DAYS:
                raise NotDone(text("For how many days: a number up to {most} is meant.", most=MOST_DAYS))
            until = datetime.now(UTC) + timedelta(days=int(said)) if int(said) else None
            verdict = Listed(fields["verdict"])
            await self._engine.lists.put(kind, who, verdict, by=person.staff.name, why=fields["why"], until=until)
            return "/lists?done=listed"

        return await self._board.act(request, person, self._list, work)

    async def _take_off(self, request: web.Request, person: Attendant) -> web.Response:
        async def work(fields: Mapping[str, str]) -> str:
            """Takes them off again."""
            kind, who = await self._meant(fields)
            if not await self._engine.lists.take_off(kind, who, by=person.staff.name, why=fields["why"]):
                raise NotDone(text("Nobody like that is on a list."))
            return "/lists?done=unlisted"

        return await self._board.act(request, person, self._list, work)

    async def _meant(self, fields: Mapping[str, str]) -> tuple[ListKind, str | Subscriber]:
        """Who a form means: a line by its number, anybody else as they are written. Raises ``NotDone``."""
        who = fields.get("who", "").strip()
        if fields.get("kind", "") not in LIST_KINDS or not who:
            raise NotDone(text("Somebody must be named."))
        kind = ListKind(fields["kind"])
        if kind is not ListKind.SUBSCRIBER:
            return kind, who
        try:
            return kind, await self._engine.subscriber(who)
        except (BadNumber, UnknownLine) as error:
            raise NotDone(text("There is no such line.")) from error
