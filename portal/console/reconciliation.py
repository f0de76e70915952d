"""Reconciliation: what differs and who looks after it, the runs that found it, and the figures of each day."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from engine.api import Resolution, Selection
from engine.words import Role
from portal.console.board import Board
from portal.console.desk import Attendant, Desk, Route, get, post
from portal.console.exports import send_csv
from portal.console.names import RESOLUTIONS
from portal.console.paging import ROWS, read_day, read_id
from portal.console.reasons import NOT_OFFERED, NotDone

#: who works with money, and who looks at how they do
LOOKING = frozenset({Role.FINANCE, Role.ADMIN, Role.AUDITOR})
MONEY = frozenset({Role.FINANCE, Role.ADMIN})
#: how somebody may end a discrepancy; the others are found out by a run
DECIDED = ("credited", "corrected", "explained", "written_off")
#: days of figures on one page
FIGURE_DAYS = 31
COLUMNS = (
    *("id", "gateway", "day", "kind", "reason", "reference", "payment_id", "stated", "stated_currency", "stated_at"),
    *("booked", "booked_currency", "booked_at", "state", "owner", "resolution"),
)


class ReconciliationPages:
    """What gateways state, against the books."""

    def __init__(self, desk: Desk) -> None:
        self._board = Board(desk)
        self._reconciliation = desk.engine.reconciliation
        self._gateways = sorted(desk.engine.payment_gateways)

    def routes(self) -> Sequence[Route]:
        """What they answer to."""
        return [
            get("/reconciliation", LOOKING, self._list),
            get("/reconciliation.csv", LOOKING, self._file),
            get("/reconciliation/report", LOOKING, self._report),
            get("/reconciliation/runs", LOOKING, self._runs),
            get("/reconciliation/figures", LOOKING, self._figures),
            get("/reconciliation/{which}", LOOKING, self._show),
            post("/reconciliation/{which}/assign", MONEY, self._assign),
            post("/reconciliation/{which}/resolve", MONEY, self._resolve),
        ]

    async def _list(self, request: web.Request, person: Attendant) -> web.Response:
        after = read_id(request)
        last = None if after is None else (await self._found(str(after)))[0]
        rows = await self._reconciliation.discrepancies(_wanted(request), after=last, limit=ROWS + 1)
        return self._board.page(
            request,
            person,
            "reconciliation.html",
            here="/reconciliation",
            rows=rows[:ROWS],
            following=str(rows[ROWS - 1].discrepancy_id) if len(rows) > ROWS else "",
            first=after is None,
            **self._asked(request),
        )

    def _asked(self, request: web.Request) -> dict[str, Any]:
        names = ("gateway", "since", "until", "resolved")
        return {"asked": {name: request.query.get(name, "") for name in names}, "gateways": self._gateways}

    async def _file(self, request: web.Request, _person: Attendant) -> web.StreamResponse:
        """Every discrepancy that is asked for, amounts in minor units."""
        wanted = _wanted(request)

        async def rows() -> AsyncIterator[Sequence[Any]]:
            """A line for each, as they come."""
            async for one in self._reconciliation.each(wanted):
                yield (
                    *(one.discrepancy_id, one.gateway, one.day, one.kind, one.reason, one.name, one.payment_id),
                    *(one.stated, one.stated_currency, one.stated_at, one.booked, one.booked_currency, one.booked_at),
                    *(one.state, one.owner, one.resolution),
                )

        return await send_csv(request, "discrepancies", COLUMNS, rows())

    async def _report(self, request: web.Request, person: Attendant) -> web.Response:
        """The same as one page to print: figures, and what differs, as many rows as anybody reads."""
        wanted = _wanted(request)
        rows = await self._reconciliation.discrepancies(wanted, limit=1_000)
        first = wanted.first or datetime.now(self._board.desk.zone).date() - timedelta(days=FIGURE_DAYS)
        figures = await self._reconciliation.figures(wanted.gateway, first)
        return self._board.page(
            request,
            person,
            "reconciliation_report.html",
            here="/reconciliation",
            rows=rows,
            figures=figures,
            made=datetime.now(self._board.desk.zone),
        )

    async def _runs(self, request: web.Request, person: Attendant) -> web.Response:
        before = read_id(request)
        gateway = request.query.get("gateway", "")
        rows = await self._reconciliation.runs(gateway or None, ROWS + 1, before=before)
        return self._board.page(
            request,
            person,
            "runs.html",
            here="/reconciliation",
            rows=rows[:ROWS],
            following=str(rows[ROWS - 1].run_id) if len(rows) > ROWS else "",
            first=before is None,
            gateway=gateway,
            gateways=self._gateways,
        )

    async def _figures(self, request: web.Request, person: Attendant) -> web.Response:
        """A month of figures from a day on; the links lead to the month before."""
        today = datetime.now(self._board.desk.zone).date()
        first = read_day(request, "since") or today - timedelta(days=FIGURE_DAYS - 1)
        figures = await self._reconciliation.figures(request.query.get("gateway") or None, first)
        until = first + timedelta(days=FIGURE_DAYS)
        return self._board.page(
            request,
            person,
            "figures.html",
            here="/reconciliation",
            rows=[one for one in figures if one.day < until],
            since=first,
            until=until - timedelta(days=1),
            earlier=first - timedelta(days=FIGURE_DAYS),
            later=until if until <= today else None,
        )

    async def _show(self, request: web.Request, person: Attendant) -> web.Response:
        one, changes = await self._found(request.match_info["which"])
        return self._board.page(
            request,
            person,
            "discrepancy.html",
            here="/reconciliation",
            one=one,
            changes=changes,
            decided={code: RESOLUTIONS[code] for code in DECIDED if code != "credited" or one.kind == "missing_here"},
            may_decide=person.may(MONEY) and one.state != "resolved",
        )

    async def _found(self, which: str) -> Any:
        try:
            return await self._reconciliation.discrepancy(which)
        except LookupError as error:
            raise web.HTTPNotFound from error

    async def _assign(self, request: web.Request, person: Attendant) -> web.Response:
        which = request.match_info["which"]

        async def work(fields: Mapping[str, str]) -> str:
            """Gives it to who is named; to who asks where nobody is."""
            owner = fields.get("owner", "").strip() or person.staff.name
            await self._reconciliation.assign(which, owner, by=person.staff.name, why=fields["why"])
            return f"/reconciliation/{which}?done=assigned"

        return await self._board.act(request, person, self._show, work)

    async def _resolve(self, request: web.Request, person: Attendant) -> web.Response:
        which = request.match_info["which"]

        async def work(fields: Mapping[str, str]) -> str:
            """Ends it with one of the ways that a person may choose."""
            said = fields.get("resolution", "")
            if said not in DECIDED:
                raise NotDone(NOT_OFFERED)
            await self._reconciliation.resolve(which, Resolution(said), by=person.staff.name, why=fields["why"])
            return f"/reconciliation/{which}?done=resolved"

        return await self._board.act(request, person, self._show, work)


def _wanted(request: web.Request) -> Selection:
    return Selection(
        gateway=request.query.get("gateway") or None,
        first=read_day(request, "since"),
        last=read_day(request, "until"),
        resolved=bool(request.query.get("resolved")),
    )
