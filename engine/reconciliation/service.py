"""Reconciliation at work: statements and gateways' answers against the books, and what becomes of what differs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from engine.audit.service import Trail
from engine.books.databases import Books
from engine.payments.gateways import Gateways
from engine.payments.service import Payments
from engine.recharge.gateways.offers import OffersStatements
from engine.reconciliation import cases, matching, runs, store
from engine.reconciliation.asking import ask
from engine.reconciliation.cases import Change, Discrepancy, Selection
from engine.reconciliation.crediting import Crediting
from engine.reconciliation.rules import Days, days, likeliest
from engine.reconciliation.runs import Figure, PastRun
from engine.reconciliation.staging import Run, Sealer, Statement
from engine.reconciliation.tables import Resolution, State
from engine.storage.driver import driver_of
from engine.storage.sharding import new_id
from engine.words import NotPossible
from runtime.keyring import Keyring
from settings import Operator

log = structlog.get_logger(__name__)

#: a statement that can be fetched is looked for so many days back
FETCH_DAYS = 3
#: discrepancies that are read at a time
PAGE = 500
ANY_OPEN = Selection()


class Reconciliation:
    """The reconciliation of one installation."""

    def __init__(
        self,
        books: Books,
        operator: Operator,
        keyring: Keyring,
        *,
        payments: Payments,
        gateways: Gateways,
        trail: Trail,
    ) -> None:
        self._books = books
        self._operator = operator
        self._gateways = gateways
        self._trail = trail
        self._sealer = Sealer(keyring)
        self._crediting = Crediting(books.billing, operator.reconciliation, payments, self._sealer)

    # -- runs ---

    async def reconcile(
        self,
        gateway: str,
        lines: Iterable[str],
        *,
        by: str,
        source: str,
        first: date | None = None,
        last: date | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Run:
        """Match a settlement file, line by line, against the books, and credit what the operator's rule lets.

        Without ``first`` the file is of the day that most of its rows lie in (operator's time); ``last`` is that of a
        file of several days. ``source`` says where it is from, ``progress`` hears how many lines were read. Broken
        lines are named in the answer, the rest is done. The same file again changes nothing. Raises ``LookupError`` for
        an unknown gateway, ``ValueError`` for days that make no sense and for a file in which no line can be read.
        """
        if not by.strip():
            raise ValueError("by: who does this must be named")
        reader = self._gateways.get(gateway)
        if reader is None:
            raise LookupError(f"no gateway {gateway} in the settings: there are {', '.join(sorted(self._gateways))}")
        run_id, started = new_id(), datetime.now(UTC)
        statement = Statement(reader, lines, self._sealer.seal)
        async with matching.staged(self._books.billing) as driver:
            await matching.send(driver, statement, progress)
            of = await self._days(driver, statement, first, last)
            scope = matching.scope_of(gateway, run_id, of, self._operator.timezone, self._operator.reconciliation)
            # One run of a gateway at a time: two would find the same things.
            await driver.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"reconciliation|{gateway}",))
            found = await matching.match(driver, self._books, scope, self._sealer)
            run = Run(
                gateway,
                source,
                of.first,
                of.last,
                statement.rows,
                statement.broken,
                statement.broken_lines,
                found,
            )
            await runs.keep_run(driver, run_id, run, by=by, digest=statement.digest, started=started)
            await driver.commit()
        credited = await self._crediting.run(gateway, of)
        log.info("reconciled", gateway=gateway, rows=run.rows, broken=run.broken, found=found, credited=credited)
        return run._replace(credited=credited)

    async def _days(
        self, driver: store.Connection, statement: Statement, first: date | None, last: date | None
    ) -> Days:
        if first is None:
            first = likeliest(await store.stated_days(driver, self._operator.timezone))
            await driver.rollback()
        if first is None:
            reason = statement.broken_lines[0].reason if statement.broken_lines else "it is empty"
            raise ValueError(f"no line of the file can be read: {reason}")
        return days(first, last or first, self._operator.timezone)

    async def ask(self, gateway: str, day: date, *, by: str, progress: Callable[[int], None] = lambda _: None) -> Run:
        """Ask a gateway what became of each payment that was begun on a day, and match its answers with the books.

        What it does not answer is left as it is and counted. Raises ``LookupError`` for an unknown gateway.
        """
        if not by.strip():
            raise ValueError("by: who does this must be named")
        if self._gateways.get(gateway) is None:
            raise LookupError(f"no gateway {gateway} in the settings: there are {', '.join(sorted(self._gateways))}")
        run_id, started = new_id(), datetime.now(UTC)
        of = days(day, day, self._operator.timezone)
        scope = matching.scope_of(gateway, run_id, of, self._operator.timezone, self._operator.reconciliation)
        run = await ask(self._books.billing, self._gateways, scope, progress)
        async with self._books.billing.begin() as connection:
            driver = await driver_of(connection)
            await runs.keep_run(driver, run_id, run, by=by, digest=None, started=started)
        return run._replace(credited=await self._crediting.run(gateway, of))

    async def fetch_due(self) -> int:
        """Fetch and reconcile what gateways offer of the last days and nobody has reconciled. Returns how many files.

        A day is fetched once its night is over (``reconciliation.fetch_hour``, operator's time).
        """
        local = datetime.now(ZoneInfo(self._operator.timezone))
        if local.hour < self._operator.reconciliation.fetch_hour:
            return 0
        count = 0
        for name in self._gateways:
            gateway: object = self._gateways.get(name)
            if isinstance(gateway, OffersStatements):
                wanted = [(local - timedelta(days=back)).date() for back in range(FETCH_DAYS, 0, -1)]
                count += sum([await self._fetched(name, gateway, day) for day in wanted])
        return count

    async def _fetched(self, name: str, gateway: OffersStatements, day: date) -> bool:
        """Fetch and reconcile one day, unless that is done or the gateway has nothing yet."""
        if await self._reconciled(name, day):
            return False
        of = days(day, day, self._operator.timezone)
        lines = await gateway.fetch_settlement(of.begins, of.ends)
        if lines is None:
            return False
        with lines:
            await self.reconcile(name, lines, by="schedule", source="fetched", first=day)
        return True

    async def _reconciled(self, gateway: str, day: date) -> bool:
        async with self._books.billing.connect() as connection:
            return await runs.was_reconciled(connection, gateway, day)

    # -- what was found ---

    async def figures(self, gateway: str | None = None, first: date | None = None) -> list[Figure]:
        """Each gateway's days from ``first`` on, newest first: captured − settled − explained − open is 0."""
        async with self._books.billing.connect() as connection:
            return await runs.figures(connection, gateway, first)

    async def discrepancies(
        self, wanted: Selection = ANY_OPEN, *, after: Discrepancy | None = None, limit: int = PAGE
    ) -> list[Discrepancy]:
        """What differs, oldest day first; ``after`` is the last one of the page before."""
        async with self._books.billing.connect() as connection:
            return await cases.find(connection, wanted, after=after, limit=limit)

    async def each(self, wanted: Selection) -> AsyncIterator[Discrepancy]:
        """All of them, however many, page by page."""
        page = await self.discrepancies(wanted)
        while page:
            for one in page:
                yield one
            page = await self.discrepancies(wanted, after=page[-1])

    async def discrepancy(self, which: str) -> tuple[Discrepancy, list[Change]]:
        """One discrepancy by its id, or the beginning of it, and all that was done with it. Raises ``LookupError``."""
        async with self._books.billing.connect() as connection:
            one = await cases.one(connection, which)
            return one, await cases.changes(connection, one.discrepancy_id)

    async def runs(self, gateway: str | None = None, limit: int = 50, *, before: UUID | None = None) -> list[PastRun]:
        """The latest runs, newest first; ``before`` is the id of the last one of the page before."""
        async with self._books.billing.connect() as connection:
            return await runs.runs(connection, gateway, limit, before)

    async def assign(self, which: str, owner: str, *, by: str, why: str) -> Discrepancy:
        """Give a discrepancy to somebody. Raises ``LookupError``, and ``ValueError`` if it is resolved."""
        return await self._change(which, by, why, State.ASSIGNED, owner=owner.strip(), resolution=None)

    async def resolve(self, which: str, resolution: Resolution, *, by: str, why: str) -> Discrepancy:
        """End a discrepancy. ``credited`` has the payment credited through the one door, whatever the rule says.

        Raises ``LookupError``; ``ValueError`` if it is resolved, cannot be ended so, or could not be credited.
        """
        if resolution in (Resolution.CLEARED, Resolution.RETURNED):
            raise ValueError(f"resolution: {resolution} is found out by a run, not decided")
        if resolution is Resolution.CREDITED:
            one, _ = await self.discrepancy(which)
            await self._trail.record(
                "reconciliation.credit", by=by, why=why, detail={"discrepancy": str(one.discrepancy_id)}
            )
            await self._crediting.credit(one, by=by, why=why)
            return (await self.discrepancy(which))[0]
        return await self._change(which, by, why, State.RESOLVED, owner=None, resolution=resolution)

    async def _change(
        self, which: str, by: str, why: str, state: State, *, owner: str | None, resolution: Resolution | None
    ) -> Discrepancy:
        if not by.strip() or not why.strip():
            raise ValueError("by, why: who does this and for what reason must be said")
        if state is State.ASSIGNED and not owner:
            raise NotPossible("owner: nobody is named", "owner")
        async with self._books.billing.begin() as connection:
            one = await cases.one(connection, which, lock=True)
            if one.state is State.RESOLVED:
                said = f"it is resolved: {one.resolution}"
                raise NotPossible(said, "discrepancy_resolved", resolution=one.resolution)
            what = f"assigned:{owner}" if state is State.ASSIGNED else f"resolved:{resolution}"
            changed = await cases.change(connection, one, state, owner=owner or one.owner, resolution=resolution)
            await cases.note(connection, one.discrepancy_id, what, by=by, why=why)
            detail = {"discrepancy": str(one.discrepancy_id), "what": what}
            await self._trail.record(
                f"reconciliation.{'assign' if state is State.ASSIGNED else 'resolve'}",
                by=by,
                why=why,
                account=one.account,
                detail=detail,
                connection=connection,
            )
            return changed
