"""A line: how it stands, what its account holds, and everything that happened to it on every channel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import structlog
from aiohttp import web

from dialogs.refusals import SENTENCES
from dialogs.values import Quantity
from engine.words import MAY_ASK, Bucket, Code, Event, LineView, RequestKind, Unit
from portal.console.board import Board
from portal.console.desk import STAFF, Attendant, Desk, Route, get
from portal.console.names import DELIVERIES, PAYMENT_STATES, STEPS
from portal.console.paging import ROWS, read_key, write_key
from portal.console.refs import LINE, read_line, write_line
from portal.console.request_names import KINDS, LINE_STATES, OPERATION_KINDS, SOURCES, STATES

log = structlog.get_logger(__name__)

#: operations that can be given back
GIVEN_BACK = frozenset({"purchase", "charge"})
#: what can be asked for of a line as such; the others are asked for of one of its bookings
OF_A_LINE = (RequestKind.ADJUST, RequestKind.STATUS, RequestKind.UNLOCK, RequestKind.PIN)


class Row(NamedTuple):
    """One thing that happened, as it is shown."""

    event: Event
    name: str
    state: str
    tone: str
    #: (change with its sign, what was left, product)
    changes: tuple[tuple[str, str, str], ...]
    said: tuple[str, ...]
    may_refund: bool
    may_resend: bool


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
            rows=[self._row(person, view, one) for one in events[:ROWS]],
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

    def _row(self, person: Attendant, view: LineView, event: Event) -> Row:
        write = partial(self._desk.texts.write, person.language)
        if event.source == "operation":
            said, tone = (OPERATION_KINDS.get(event.what) or (event.what, ""))[0], ""
            ok = event.state == Code.OK
            state = "" if ok else write(SENTENCES[Code(event.state)])
            tone = "" if ok else "warn"
            changes = tuple(_change(write, one, view.currency) for one in event.detail.get("changes", ()))
            able = ok and person.staff.role in MAY_ASK[RequestKind.REFUND]
            return Row(
                event,
                write(said),
                state,
                tone,
                changes,
                (),
                may_refund=able and event.what in GIVEN_BACK,
                may_resend=able and person.staff.role in MAY_ASK[RequestKind.RECEIPT],
            )
        if event.source == "payment":
            name, _ = STEPS.get(event.what, (event.what, ""))
            known = PAYMENT_STATES.get(event.state)
            state, tone = (event.state, "") if known is None else (write(known[0]), known[1])
            return Row(event, write(name), state, tone, (), (), may_refund=False, may_resend=False)
        if event.source == "message":
            known = DELIVERIES.get(event.state)
            state, tone = (event.state, "") if known is None else (write(known[0]), known[1])
            error = event.detail.get("error")
            return Row(
                event, event.what, state, tone, (), (error,) if error else (), may_refund=False, may_resend=False
            )
        why = str(event.detail.get("why", ""))
        return Row(event, event.what, "", "", (), (why,) if why else (), may_refund=False, may_resend=False)


def share(bucket: Bucket) -> int:
    """Percent of what a bucket was opened with that is left in it."""
    return 100 if bucket.initial <= 0 else max(0, min(100, bucket.amount * 100 // bucket.initial))


def _change(write: Any, one: dict[str, Any], currency: str) -> tuple[str, str, str]:
    unit, before, after = Unit(one["unit"]), int(one["before"]), int(one["after"])
    sign = "+" if after > before else "−" if after < before else ""
    return (
        sign + write(Quantity(unit, abs(after - before), currency)),
        write(Quantity(unit, after, currency)),
        one["product"],
    )
