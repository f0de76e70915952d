"""What staff asks for on a line: asking with a reason, and the second person who approves or refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from aiohttp import web

from dialogs.values import Quantity, Text, Together, text
from engine.words import (
    MAY_ASK,
    MAY_DECIDE,
    BadRequest,
    LineRef,
    LineStatus,
    LineView,
    RequestDraft,
    RequestKind,
    RequestState,
    Unit,
)
from portal.base.amounts import read_amount
from portal.console.board import Board
from portal.console.desk import ACTING, STAFF, Attendant, Desk, Route, get, post
from portal.console.paging import ROWS, read_key, write_key
from portal.console.refs import LINE, read_line, write_line
from portal.console.request_names import KINDS, LINE_STATES, OUTCOMES, PROBLEMS, STATES, UNITS

KIND = "{kind:refund|payment|adjust|status|unlock|pin|receipt}"
REQUEST = "{request_id:[0-9a-f]{32}}"
#: where a line may be taken from here
CHOICES = (LineStatus.ACTIVE, LineStatus.SUSPENDED, LineStatus.BARRED)
#: what moves a balance
MOVING = frozenset({RequestKind.ADJUST, RequestKind.REFUND, RequestKind.PAYMENT})
#: what happens, said before it does
EXPLAINED: dict[RequestKind, Text] = {
    RequestKind.REFUND: text("What was granted is taken back if it is unused, and what was paid comes back."),
    RequestKind.PAYMENT: text("The credit is taken back, and the gateway gives the money back to the payer."),
    RequestKind.ADJUST: text("The main balance of the unit goes up or down. The reason stands in the books."),
    RequestKind.STATUS: text("Barred and paused lines can receive money and spend none."),
    RequestKind.UNLOCK: text("Wrong PINs and wrong voucher numbers are forgotten, and counted anew."),
    RequestKind.PIN: text("The person sets a new PIN when it is next asked for. Make sure that it is them."),
    RequestKind.RECEIPT: text("The line is sent the same message once more."),
}


class RequestPages:
    """The pages of requests."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._board = Board(desk)
        self._requests = desk.engine.requests

    def routes(self) -> Sequence[Route]:
        """What they answer to. What exactly a role may ask for is looked at for each request."""
        return [
            get(f"/lines/{LINE}/ask/{KIND}", ACTING, self._form),
            post(f"/lines/{LINE}/ask/{KIND}", ACTING, self._ask),
            get("/requests", STAFF, self._list),
            get(f"/requests/{REQUEST}", STAFF, self._show),
            post(f"/requests/{REQUEST}/{{verdict:approve|refuse}}", MAY_DECIDE, self._decide),
        ]

    # -- asking -----------------------------------------------------------------------------------------------------

    async def _form(
        self, request: web.Request, person: Attendant, problem: str = "", fields: Mapping[str, str] | None = None
    ) -> web.Response:
        kind, view = RequestKind(request.match_info["kind"]), await self._view(request)
        if person.staff.role not in MAY_ASK[kind]:
            return self._desk.page(request, person, "refused.html", status=403)
        currency = {"currency": view.currency}
        alone = self._alone(person, kind, view.currency)
        return self._board.page(
            request,
            person,
            "ask.html",
            status=422 if problem else 200,
            problem=problem,
            kind=kind,
            kinds=KINDS,
            explained=self._desk.say(person, EXPLAINED[kind]),
            view=view,
            path=write_line(view.line),
            subject=_subject(request),
            quoted=request.query.get("quoted", "")[:40],
            once=uuid4().hex,
            units={one: self._desk.say(person, Text(said.message, currency)) for one, said in UNITS.items()},
            alone=alone,
            needs_two=not alone and (kind in MOVING or kind.value in self._desk.operator.staff.always_two),
            choices=[one for one in CHOICES if one is not view.status],
            line_states=LINE_STATES,
            fields=fields or {},
        )

    def _alone(self, person: Attendant, kind: RequestKind, currency: str) -> str:
        """How much one person may move within a day, in words; nothing where nothing is moved, or nothing alone."""
        if kind not in MOVING:
            return ""
        limits = self._desk.operator.staff.alone
        units = Unit if kind is RequestKind.ADJUST else (Unit.MONEY,)
        amounts = [Quantity(unit, limits[unit.value], currency) for unit in units if limits.get(unit.value)]
        return self._desk.texts.write(person.language, Together(tuple(amounts))) if amounts else ""

    async def _ask(self, request: web.Request, person: Attendant) -> web.Response:
        fields = await self._desk.form(request, person)
        view = await self._view(request)
        try:
            once = UUID(fields.get("once", ""))
        except ValueError as error:
            raise web.HTTPBadRequest(text="once: not what the page held") from error
        wanted = _wanted(RequestKind(request.match_info["kind"]), view, fields, _subject(request))
        try:
            asked = await self._requests.ask(person.staff, wanted, why=fields.get("why", ""), once=once)
        except BadRequest as bad:
            if bad.args[0] == "role":
                return self._desk.page(request, person, "refused.html", status=403)
            return await self._form(request, person, self._desk.say(person, PROBLEMS[bad.args[0]]), fields)
        return self._desk.go(f"/requests/{asked.request_id.hex}", person)

    async def _view(self, request: web.Request) -> LineView:
        view = await self._desk.engine.looking.line(read_line(request))
        if view is None:
            raise web.HTTPNotFound
        return view

    # -- deciding ---------------------------------------------------------------------------------------------------

    async def _list(self, request: web.Request, person: Attendant) -> web.Response:
        chosen = request.query.get("state", "pending")
        states = [RequestState(chosen)] if chosen in STATES else []
        after = read_key(request)
        rows = await self._requests.page(states=states, after=after, limit=ROWS + 1)
        last = rows[ROWS - 1] if len(rows) > ROWS else None
        return self._board.page(
            request,
            person,
            "requests.html",
            here="/requests",
            rows=rows[:ROWS],
            following="" if last is None else write_key(last.asked_at, last.request_id),
            first=after is None,
            state=chosen,
            kinds=KINDS,
            states=STATES,
        )

    async def _show(self, request: web.Request, person: Attendant, problem: str = "") -> web.Response:
        asked = await self._requests.request(UUID(request.match_info["request_id"]))
        if asked is None:
            raise web.HTTPNotFound
        contact = (await self._desk.engine.accounts.reveal([asked.line])).get(asked.line.line_id)
        pending = asked.state is RequestState.PENDING
        return self._board.page(
            request,
            person,
            "request.html",
            status=422 if problem else 200,
            here="/requests",
            problem=problem,
            asked=asked,
            number="" if contact is None else contact.msisdn or "",
            path=write_line(asked.line),
            may_decide=pending and person.may(MAY_DECIDE) and asked.asked_by != person.staff.name,
            kinds=KINDS,
            states=STATES,
            line_states=LINE_STATES,
            outcomes=OUTCOMES,
        )

    async def _decide(self, request: web.Request, person: Attendant) -> web.Response:
        fields = await self._desk.form(request, person)
        request_id, approve = UUID(request.match_info["request_id"]), request.match_info["verdict"] == "approve"
        try:
            await self._requests.decide(person.staff, request_id, approve=approve, why=fields.get("why", ""))
        except BadRequest as bad:
            return await self._show(request, person, self._desk.say(person, PROBLEMS[bad.args[0]]))
        return self._desk.go(f"/requests/{request_id.hex}", person)


def _subject(request: web.Request) -> UUID | None:
    """The operation or payment that the link names. Raises 400 for what is none."""
    said = request.query.get("subject")
    try:
        return UUID(said) if said else None
    except ValueError as error:
        raise web.HTTPBadRequest(text="subject: not a booking") from error


def _wanted(kind: RequestKind, view: LineView, fields: Mapping[str, str], subject: UUID | None) -> RequestDraft:
    """What a form asks for; what makes no sense is left out, and refused by the engine."""
    line: LineRef = view.line
    if kind is RequestKind.ADJUST:
        unit = Unit(fields["unit"]) if fields.get("unit") in list(Unit) else None
        amount = None if unit is None else read_amount(unit, fields.get("amount", ""), view.currency)
        down = fields.get("way") == "down"
        return RequestDraft(kind, line, unit, -amount if down and amount is not None else amount)
    if kind is RequestKind.STATUS:
        return RequestDraft(
            kind, line, status=LineStatus(fields["status"]) if fields.get("status") in CHOICES else None
        )
    return RequestDraft(kind, line, subject=subject)
