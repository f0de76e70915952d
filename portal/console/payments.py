"""Payments: by state, and one with every point that it was at; held ones, which staff lets pass or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from aiohttp import web

from engine.words import MAY_ASK, LineRef, PaymentState, RequestKind, Role
from portal.console.board import Board
from portal.console.desk import STAFF, Attendant, Desk, Route, get, post
from portal.console.names import PAYMENT_STATES
from portal.console.paging import ROWS, read_key, write_key
from portal.console.refs import write_line

#: who may decide about money
MONEY = frozenset({Role.FINANCE, Role.ADMIN})
#: not a state of a payment, but what staff looks for first
UNRESOLVED = "unresolved"


class PaymentPages:
    """The payments of the installation."""

    def __init__(self, desk: Desk) -> None:
        self._board = Board(desk)
        self._engine = desk.engine

    def routes(self) -> Sequence[Route]:
        """What they answer to."""
        return [
            get("/payments", STAFF, self._list),
            get("/payments/{payment_id}", STAFF, self._show),
            post("/payments/{payment_id}/look-again", MONEY, self._look_again),
            get("/reviews", STAFF, self._reviews),
            get("/reviews/{reference}", STAFF, self._review),
            post("/reviews/{reference}/{verdict:release|refuse}", MONEY, self._decide),
        ]

    async def _list(self, request: web.Request, person: Attendant) -> web.Response:
        asked = request.query.get("state", "")
        gateway = request.query.get("gateway", "")
        state = PaymentState(asked) if asked in PAYMENT_STATES else None
        after = read_key(request)
        page = await self._engine.payment_listing.page(
            state, gateway or None, unresolved=asked == UNRESOLVED, after=after, limit=ROWS
        )
        return self._board.page(
            request,
            person,
            "payments.html",
            here="/payments",
            rows=page.rows,
            following="" if page.following is None else write_key(*page.following),
            looked_to=page.looked_to,
            first=after is None,
            state=asked,
            gateway=gateway,
            gateways=sorted(self._engine.payment_gateways),
        )

    async def _show(self, request: web.Request, person: Attendant) -> web.Response:
        payment = await self._engine.payment(_id(request))
        if payment is None:
            raise web.HTTPNotFound
        listing = self._engine.payment_listing
        # A payment that was given up, and one that its gateway does not give back, wait for somebody.
        stuck = payment.reason in (UNRESOLVED, "refund_refused")
        return self._board.page(
            request,
            person,
            "payment.html",
            here="/payments",
            payment=payment,
            course=await listing.course(payment),
            decisions=await listing.decisions(payment),
            effects=await listing.effects(payment),
            stuck=stuck and person.may(MONEY),
            line="" if payment.line_id is None else write_line(LineRef(*payment.account, payment.line_id)),
            may_ask=payment.state is PaymentState.SETTLED and person.may(MAY_ASK[RequestKind.PAYMENT]),
        )

    async def _look_again(self, request: web.Request, person: Attendant) -> web.Response:
        payment_id = _id(request)
        page = f"/payments/{payment_id}"

        async def work(fields: Mapping[str, str]) -> str:
            """Puts it before the recovery loop once more."""
            payment = await self._engine.payment(payment_id)
            if payment is None:
                raise web.HTTPNotFound
            doing = self._engine.audit.doing(
                "payment.look_again",
                by=person.staff.name,
                why=fields["why"],
                account=payment.account,
                line_id=payment.line_id,
                detail={"payment_id": str(payment_id), "state": payment.state.value},
            )
            async with doing:
                await self._engine.payments.look_again(payment_id, person.source)
            return f"{page}?done=looked"

        return await self._board.act(request, person, self._show, work)

    # -- held ones --------------------------------------------------------------------------------------------------

    async def _reviews(self, request: web.Request, person: Attendant) -> web.Response:
        after = read_key(request)
        held = await self._engine.reviews.waiting(ROWS + 1, after=after)
        last = held[ROWS - 1] if len(held) > ROWS else None
        return self._board.page(
            request,
            person,
            "reviews.html",
            here="/reviews",
            rows=held[:ROWS],
            following="" if last is None else write_key(last.created_at, last.payment_id),
            first=after is None,
        )

    async def _review(self, request: web.Request, person: Attendant) -> web.Response:
        try:
            held = await self._engine.reviews.find(request.match_info["reference"])
        except LookupError as error:
            raise web.HTTPNotFound from error
        return self._board.page(
            request, person, "review.html", here="/reviews", held=held, may_decide=person.may(MONEY)
        )

    async def _decide(self, request: web.Request, person: Attendant) -> web.Response:
        reference, verdict = request.match_info["reference"], request.match_info["verdict"]

        async def work(fields: Mapping[str, str]) -> str:
            """Lets the payment go on, or ends it."""
            reviews = self._engine.reviews
            decide = reviews.approve if verdict == "release" else reviews.refuse
            payment = await decide(reference, by=person.staff.name, why=fields["why"])
            return f"/payments/{payment.payment_id}?done={'released' if verdict == 'release' else 'refused'}"

        return await self._board.act(request, person, self._review, work)


def _id(request: web.Request) -> UUID:
    """The payment that the path names. Raises 404."""
    try:
        return UUID(request.match_info["payment_id"])
    except ValueError as error:
        raise web.HTTPNotFound from error
