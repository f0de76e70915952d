"""Disputes: cases with their evidence, owner, deadline and outcome; and whom staff blocks or trusts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from aiohttp import web

from dialogs.values import text
from engine.api import Outcome
from engine.words import Role
from portal.console.board import Board
from portal.console.desk import ACTING, STAFF, Attendant, Desk, Route, get, post
from portal.console.names import LAYERS, OUTCOMES
from portal.console.paging import ROWS, read_key, write_key
from portal.console.reasons import NOT_OFFERED, NotDone, refused_by_books

#: who decides a case: money may move
DECIDING = frozenset({Role.FINANCE, Role.ADMIN})


class DisputePages:
    """The cases of the installation."""

    def __init__(self, desk: Desk) -> None:
        self._board = Board(desk)
        self._disputes = desk.engine.disputes

    def routes(self) -> Sequence[Route]:
        """What they answer to."""
        return [
            get("/disputes", STAFF, self._list),
            post("/disputes", ACTING, self._open),
            get("/disputes/{number}", STAFF, self._show),
            post("/disputes/{number}/assign", ACTING, self._assign),
            post("/disputes/{number}/resolve", DECIDING, self._resolve),
        ]

    async def _list(self, request: web.Request, person: Attendant) -> web.Response:
        after = read_key(request)
        resolved = bool(request.query.get("resolved"))
        rows = await self._disputes.list(resolved=resolved, limit=ROWS + 1, after=after)
        last = rows[ROWS - 1] if len(rows) > ROWS else None
        return self._board.page(
            request,
            person,
            "disputes.html",
            here="/disputes",
            rows=rows[:ROWS],
            following="" if last is None else write_key(last.deadline, last.case_id),
            first=after is None,
            resolved=resolved,
            now=datetime.now(UTC),
            soon=datetime.now(UTC) + timedelta(days=2),
            may_open=person.may(ACTING),
        )

    async def _open(self, request: web.Request, person: Attendant) -> web.Response:
        async def work(fields: Mapping[str, str]) -> str:
            """Opens the case, owned by who opens it."""
            reference = fields.get("reference", "").strip()
            if not reference:
                raise NotDone(text("What is disputed must be said."))
            case = await self._disputes.open(reference, fields["why"], person.staff.name, owner=person.staff.name)
            return f"/disputes/{case.number}?done=opened"

        return await self._board.act(request, person, self._list, work)

    async def _show(self, request: web.Request, person: Attendant) -> web.Response:
        try:
            case, evidence = await self._disputes.find(request.match_info["number"])
        except LookupError as error:
            raise web.HTTPNotFound from error
        layers: dict[str, list[Mapping[str, object]]] = {}
        for one in evidence:
            layers.setdefault(one.layer, []).append(one.body)
        open_still = case.state != "resolved"
        return self._board.page(
            request,
            person,
            "dispute.html",
            here="/disputes",
            case=case,
            layers=sorted(layers.items(), key=lambda one: _place(one[0])),
            may_assign=open_still and person.may(ACTING),
            may_decide=open_still and person.may(DECIDING),
            # Only a payment can be charged back; what a bank has taken nobody gives back.
            outcomes=[
                code
                for code in OUTCOMES
                if (code != "chargeback_accepted" or case.payment_id is not None)
                and not (code == "refund" and case.by_bank)
            ],
        )

    async def _assign(self, request: web.Request, person: Attendant) -> web.Response:
        number = request.match_info["number"]

        async def work(fields: Mapping[str, str]) -> str:
            """Gives it to who is named; to who asks where nobody is."""
            owner = fields.get("owner", "") or person.staff.name
            await self._disputes.assign(number, owner, person.staff.name, fields["why"])
            return f"/disputes/{number}?done=assigned"

        return await self._board.act(request, person, self._show, work)

    async def _resolve(self, request: web.Request, person: Attendant) -> web.Response:
        number = request.match_info["number"]

        async def work(fields: Mapping[str, str]) -> str:
            """Decides it; money is given back by a second person only."""
            said = fields.get("outcome", "")
            if said not in OUTCOMES:
                raise NotDone(NOT_OFFERED)
            case, _ = await self._disputes.find(number)
            staff = self._board.engine.staff
            if said != Outcome.REFUSED and await staff.may_be_one(case.opened_by, person.staff):
                raise NotDone(text("Money is given back by somebody else than who opened the case."))
            _, answer = await self._disputes.resolve(number, Outcome(said), fields["why"], person.staff.name)
            if answer is not None and not answer.ok:
                raise NotDone(refused_by_books(answer.code))
            return f"/disputes/{number}?done=resolved"

        return await self._board.act(request, person, self._show, work)


def _place(layer: str) -> int:
    known = list(LAYERS)
    return known.index(layer) if layer in known else len(known)
