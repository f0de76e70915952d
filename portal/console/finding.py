"""One box that finds a line, a payment, an operation or a voucher by whatever a caller can say."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from aiohttp import web

from engine.words import Found, LineRef, Payment, RequestState
from portal.console.board import Board
from portal.console.desk import STAFF, Attendant, Desk, Route, get, post
from portal.console.names import PAYMENT_STATES
from portal.console.refs import write_line
from portal.console.request_names import KINDS, OPERATION_KINDS, OUTCOMES, VOUCHER_STATES

log = structlog.get_logger(__name__)

#: requests that wait, shown on the first page
WAITING = 5


class FindPages:
    """The first page: the search box, and what was found."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._board = Board(desk)

    def routes(self) -> Sequence[Route]:
        """What they answer to. A search is sent as a form: numbers do not belong into paths, logs and histories."""
        return [get("", STAFF, self._show), post("/find", STAFF, self._find)]

    async def _show(self, request: web.Request, person: Attendant) -> web.Response:
        waiting = await self._desk.engine.requests.page(states=[RequestState.PENDING], limit=WAITING)
        return self._board.page(
            request, person, "find.html", here="", found=None, wanted="", waiting=waiting, kinds=KINDS
        )

    async def _find(self, request: web.Request, person: Attendant) -> web.Response:
        wanted = (await self._desk.form(request, person)).get("wanted", "")
        found = await self._desk.engine.search.find(wanted)
        log.info("console_search", staff=person.staff.name, hits=sum(len(one) for one in found))
        only = _only(found)
        if only is not None:
            return self._desk.go(only, person)
        hits = {*found.lines, *(_line_of(one) for one in found.payments)}
        hits |= {one.line for one in found.operations} | {one.line for one in found.vouchers}
        contacts = await self._desk.engine.accounts.reveal([one for one in hits if one is not None])
        return self._board.page(
            request,
            person,
            "find.html",
            here="",
            wanted=wanted,
            found=found,
            waiting=[],
            kinds=KINDS,
            contacts={line_id: contact.msisdn for line_id, contact in contacts.items()},
            path=write_line,
            payment_line=_line_of,
            payment_states=PAYMENT_STATES,
            operation_kinds=OPERATION_KINDS,
            voucher_states=VOUCHER_STATES,
            outcomes=OUTCOMES,
        )


def _line_of(payment: Payment) -> LineRef | None:
    return None if payment.line_id is None else LineRef(*payment.account, payment.line_id)


def _only(found: Found) -> str | None:
    """The page of what was found, where that is one thing."""
    if sum(len(one) for one in found) != 1:
        return None
    if found.lines:
        return f"/lines/{write_line(found.lines[0])}"
    if found.payments:
        return f"/payments/{found.payments[0].payment_id}"
    return None
