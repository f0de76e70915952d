"""Money and proof: the one door, what went through it, and what auditors and regulators ask for."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import sqlalchemy as sa

from engine.audit.actions import Actions
from engine.audit.receipts import Receipts
from engine.audit.rules import Signer
from engine.audit.service import Chain
from engine.books.history import History
from engine.books.invariants import check_all
from engine.books.recovery import Recovery
from engine.books.reports import Reports
from engine.books.waiting import overdue, waiting
from engine.disputes.service import Disputes
from engine.faces.foundation import Foundation
from engine.receivables.ages import Receivables


class Bookkeeping:
    """``post`` is the only way in which a balance changes; everything else here reads, signs or repairs."""

    def __init__(self, base: Foundation, audit_export: Path | None) -> None:
        """``audit_export``: the folder that signed roots of the audit chain go to."""
        self._database = database = base.database
        self._door = base.door
        self._recovery = Recovery(base.books, base.metrics)
        history = History(database)
        self.post = self._door.post
        self.done_before = history.done_before
        self.answer_under = history.answer_under
        self.explain = history.explain
        self.operations = history.operations
        self.count_operations = history.count_operations
        #: finish what batches over several databases left prepared: how many parts were finished
        self.recover_batches = self._recovery.run
        #: what must always hold and does not
        self.broken_rules = partial(check_all, base.books)
        #: how much is queued
        self.waiting = partial(waiting, database)
        #: how many messages should have left some seconds ago
        self.overdue = partial(overdue, database)

        #: trial balance, account statements, journal
        self.ledger = Reports(base.books, base.operator.currency, base.operator.timezone)
        #: open bills by age, and what gateways owe
        self.receivables = Receivables(base.books)
        self.disputes = Disputes(base.books, base.door.post, base.trail)

        #: what somebody has to look at now: logged, counted, and told to subscribers
        self.alarms = base.alarms
        #: what staff did: ``record`` it, and look at it
        self.audit = base.trail
        self.actions = Actions(database)
        self.receipt = Receipts(database).receipt
        self.seal_history = Chain(database, Signer(base.keyring), audit_export).seal

    async def ensure_partitions(self, months_ahead: int = 3) -> int:
        """Make the books' partitions for the coming months. Returns how many were missing."""
        async with self._database.begin() as connection:
            made = await connection.execute(sa.select(sa.func.ensure_partitions(months_ahead)))
            return int(made.scalar_one())
