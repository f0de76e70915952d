"""The ledger for finance: trial balance, what is owed by age, the journal as a file; for auditors what staff did."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiohttp import web

from engine.words import Role
from portal.console.acts import ACTS, act
from portal.console.board import Board
from portal.console.desk import Attendant, Desk, Route, get
from portal.console.exports import send_csv
from portal.console.paging import ROWS, read_day, read_key, write_key

LOOKING = frozenset({Role.FINANCE, Role.ADMIN, Role.AUDITOR})
AUDITING = frozenset({Role.ADMIN, Role.AUDITOR})
#: days that a journal may hold, actions that a file may
JOURNAL_DAYS, FILE_ROWS, FILE_PAGE = 31, 100_000, 1_000
JOURNAL = (
    *("book", "booked_at", "shard", "account_id", "key", "leg", "kind", "reference", "debit", "credit", "unit"),
    *("amount", "source", "counterparty"),
)


class LedgerPages:
    """What finance closes a day with."""

    def __init__(self, desk: Desk) -> None:
        self._board = Board(desk)
        self._engine = desk.engine

    def routes(self) -> Sequence[Route]:
        """What they answer to."""
        return [
            get("/ledger", LOOKING, self._trial_balance),
            get("/ledger/receivables", LOOKING, self._receivables),
            get("/ledger/journal.csv", LOOKING, self._journal),
            get("/audit", AUDITING, self._actions),
            get("/audit.csv", AUDITING, self._file),
        ]

    async def _trial_balance(self, request: web.Request, person: Attendant) -> web.Response:
        until = read_day(request, "until")
        zone = self._board.desk.zone
        # Up to the end of that day, or now.
        before = None if until is None else datetime.combine(until, datetime.min.time(), zone) + timedelta(days=1)
        standings = await self._engine.ledger.trial_balance(before)
        sums: Counter[tuple[str, str]] = Counter()
        for one in standings:
            sums[one.book, one.unit] += one.balance
        books: dict[str, list[Any]] = {}
        for one in standings:
            books.setdefault(one.book, []).append(one)
        return self._board.page(
            request,
            person,
            "ledger.html",
            here="/ledger",
            books=books,
            wrong={key: rest for key, rest in sums.items() if rest},
            until="" if until is None else until.isoformat(),
            today=datetime.now(zone).date(),
        )

    async def _receivables(self, request: web.Request, person: Attendant) -> web.Response:
        return self._board.page(
            request,
            person,
            "receivables.html",
            here="/ledger",
            ages=await self._engine.receivables.ages(),
            owed=await self._engine.receivables.owed_by_gateways(),
        )

    async def _journal(self, request: web.Request, _person: Attendant) -> web.StreamResponse:
        """``GET ledger/journal.csv?since&until``: every double entry of the operator's days, amounts in minor units."""
        first = read_day(request, "since")
        last = read_day(request, "until") or first
        if first is None or last is None or not 0 <= (last - first).days < JOURNAL_DAYS:
            raise web.HTTPBadRequest(text=f"since, until: one day, or up to {JOURNAL_DAYS}, are meant")
        postings = self._engine.ledger.journal(first, last)

        async def rows() -> AsyncIterator[Sequence[Any]]:
            """As they come from the books: the file is longer than the memory."""
            async for one in postings:
                yield [getattr(one, name) for name in JOURNAL]

        return await send_csv(request, f"journal-{first}-{last}", JOURNAL, rows())

    async def _actions(self, request: web.Request, person: Attendant) -> web.Response:
        after = read_key(request)
        by, what = request.query.get("by", "").strip(), request.query.get("what", "").strip()
        rows = await self._engine.actions.page(by=by, what=what, after=after, limit=ROWS + 1)
        last = rows[ROWS - 1] if len(rows) > ROWS else None
        return self._board.page(
            request,
            person,
            "audit.html",
            here="/audit",
            rows=rows[:ROWS],
            following="" if last is None else write_key(last.at, last.action_id),
            first=after is None,
            by=by,
            what=what,
            acts=ACTS,
            act=act,
        )

    async def _file(self, request: web.Request, _person: Attendant) -> web.StreamResponse:
        """``GET audit.csv``: the same as a file, the newest first, of the last 90 days."""
        by, what = request.query.get("by", "").strip(), request.query.get("what", "").strip()
        since = datetime.now(UTC) - timedelta(days=90)

        async def rows() -> AsyncIterator[Sequence[Any]]:
            """Page by page, until there is no more, or the file is as long as one may be."""
            after = None
            for _ in range(FILE_ROWS // FILE_PAGE):
                page = await self._engine.actions.page(by=by, what=what, since=since, after=after, limit=FILE_PAGE)
                for one in page:
                    account = None if one.account is None else one.account.account_id
                    yield (one.at, one.by, one.what, one.why, msgspec.json.encode(one.detail).decode(), account)
                if len(page) < FILE_PAGE:
                    return
                after = page[-1].at, page[-1].action_id

        return await send_csv(request, "staff-actions", ("time", "by", "what", "why", "detail", "account"), rows())
