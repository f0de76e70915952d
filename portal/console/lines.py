"""A line: how it stands, what its account holds, and everything that happened to it on every channel."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from aiohttp import web

from engine.words import MAY_ASK, Bucket, RequestKind
from portal.console.board import Board
from portal.console.desk import STAFF, Attendant, Desk, Route, get
from portal.console.happened import row_of
from portal.console.paging import ROWS, read_key, write_key
from portal.console.refs import LINE, read_line, write_line
from portal.console.request_names import KINDS, LINE_STATES, SOURCES, STATES

log = structlog.get_logger(__name__)

#: what can be asked for of a line as such; the others are asked for of one of its bookings
OF_A_LINE = (RequestKind.ADJUST, RequestKind.STATUS, RequestKind.UNLOCK, RequestKind.PIN)


class LinePages:
    """The page of one line."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._board = Board(desk)

    def routes(self) -> Sequence[Route]:
        """What they answer to."""
        return [get(f"/lines/{LINE}", STAFF, self._show)]

    async def _show(self, request: web.Request, person: Attendant) -> web.Response:
        ref, engine = read_line(request), self._desk.engine
        view = await engine.looking.line(ref)
        if view is None:
            raise web.HTTPNotFound
        log.info("console_line_seen", staff=person.staff.name, line=str(ref.line_id))
        source = request.query.get("only", "")
        after = read_key(request)
        events = await engine.looking.history(ref, source=source or None, after=after, limit=ROWS + 1)
        last = events[ROWS - 1] if len(events) > ROWS else None
        asked = await engine.requests.page(account=ref.account, limit=5)
        others = await engine.accounts.reveal(view.others)
        return self._board.page(
            request,
            person,
            "line.html",
            view=view,
            path=write_line(ref),
            rows=[row_of(self._desk, person, view.currency, one) for one in events[:ROWS]],
            following="" if last is None else write_key(last.at, last.event_id),
            first=after is None,
            only=source if source in SOURCES else "",
            sources={name: self._desk.say(person, said) for name, said in SOURCES.items()},
            shares={one.bucket_id: share(one) for one in view.buckets},
            others=[(write_line(one), others[one.line_id].msisdn) for one in view.others if one.line_id in others],
            asked=asked,
            kinds=KINDS,
            states=STATES,
            line_states=LINE_STATES,
            acts=[one for one in OF_A_LINE if person.staff.role in MAY_ASK[one]],
        )


def share(bucket: Bucket) -> int:
    """Percent of what a bucket was opened with that is left in it."""
    return 100 if bucket.initial <= 0 else max(0, min(100, bucket.amount * 100 // bucket.initial))
