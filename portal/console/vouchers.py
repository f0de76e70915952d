"""Voucher batches through their life. Numbers are made on the command line only: no page ever holds one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from aiohttp import web

from dialogs.values import text
from engine.api import BatchState
from engine.words import Role
from portal.console.board import Board
from portal.console.desk import STAFF, Attendant, Desk, Route, get, post
from portal.console.names import BATCH_STATES
from portal.console.paging import ROWS, read_key, write_key
from portal.console.reasons import NOT_OFFERED, NotDone

MOVING = frozenset({Role.FINANCE, Role.ADMIN})
#: the usual course, and how a batch is stopped
COURSE = tuple(BatchState)[:4]


class VoucherPages:
    """The voucher batches of the installation."""

    def __init__(self, desk: Desk) -> None:
        self._board = Board(desk)
        self._vouchers = desk.engine.vouchers
        self._audit = desk.engine.audit

    def routes(self) -> Sequence[Route]:
        """What they answer to."""
        return [
            get("/vouchers", STAFF, self._list),
            get("/vouchers/{batch_id}", STAFF, self._show),
            post("/vouchers/{batch_id}/move", MOVING, self._move),
            post("/vouchers/{batch_id}/block", MOVING, self._block),
        ]

    async def _list(self, request: web.Request, person: Attendant) -> web.Response:
        asked = request.query.get("state", "")
        state = BatchState(asked) if asked in BATCH_STATES else None
        after = read_key(request)
        rows = await self._vouchers.page(state, after=after, limit=ROWS + 1)
        last = rows[ROWS - 1] if len(rows) > ROWS else None
        return self._board.page(
            request,
            person,
            "vouchers.html",
            here="/vouchers",
            rows=rows[:ROWS],
            following="" if last is None else write_key(last.created_at, last.batch_id),
            first=after is None,
            state="" if state is None else state.value,
            counts=await self._vouchers.by_state(),
        )

    async def _show(self, request: web.Request, person: Attendant) -> web.Response:
        try:
            batch = await self._vouchers.batch(_id(request))
        except LookupError as error:
            raise web.HTTPNotFound from error
        moves = self._vouchers.moves(batch, person.staff.name) if person.may(MOVING) else []
        return self._board.page(
            request,
            person,
            "voucher.html",
            here="/vouchers",
            batch=batch,
            unused=batch.count - batch.redeemed - batch.blocked,
            course=COURSE,
            moves=moves,
            # Whoever made the numbers does not put them on sale.
            waits_for_another=moves and batch.state is BatchState.SHIPPED and BatchState.ACTIVE not in moves,
            may_block=person.may(MOVING),
        )

    async def _move(self, request: web.Request, person: Attendant) -> web.Response:
        batch_id = _id(request)

        async def work(fields: Mapping[str, str]) -> str:
            """Takes the batch on; who may, and to where, is the batch's to say."""
            said = fields.get("to", "")
            if said not in BATCH_STATES:
                raise NotDone(NOT_OFFERED)
            detail = {"batch": str(batch_id), "to": said}
            async with self._audit.doing("voucher.move", by=person.staff.name, why=fields["why"], detail=detail):
                await self._vouchers.move_batch(batch_id, BatchState(said), person.staff.name)
            return f"/vouchers/{batch_id}?done=moved"

        return await self._board.act(request, person, self._show, work)

    async def _block(self, request: web.Request, person: Attendant) -> web.Response:
        batch_id = _id(request)

        async def work(fields: Mapping[str, str]) -> str:
            """Blocks one voucher by the number printed on it."""
            serial = fields.get("serial", "").strip()
            if not serial.isascii() or not serial.isdecimal() or len(serial) > 9:
                raise NotDone(text("The serial is the number printed on the voucher."))
            detail = {"batch": str(batch_id), "serials": [int(serial)]}
            async with self._audit.doing("voucher.block", by=person.staff.name, why=fields["why"], detail=detail):
                if not await self._vouchers.block_voucher(batch_id, [int(serial)], person.staff.name):
                    raise NotDone(text("{serial} is not an unused voucher of this batch.", serial=serial))
            return f"/vouchers/{batch_id}?done=blocked"

        return await self._board.act(request, person, self._show, work)


def _id(request: web.Request) -> UUID:
    """The batch that the path names. Raises 404."""
    try:
        return UUID(request.match_info["batch_id"])
    except ValueError as error:
        raise web.HTTPNotFound from error
