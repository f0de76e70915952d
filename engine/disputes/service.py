"""Disputes at work: opened with their evidence, owned, decided; each step in the trail, money through the one door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.audit.receipts import NoReceipt, find_operation
from engine.audit.service import Trail
from engine.books.databases import Books
from engine.disputes import store
from engine.disputes.rules import (
    BY_GATEWAY,
    DEADLINE_DAYS,
    CaseRefused,
    case_of,
    check_decision,
    number_of,
    ordered_by,
)
from engine.disputes.store import Disputed, Evidence
from engine.disputes.tables import CaseState, Outcome
from engine.recharge.gateways.amounts import major
from engine.recharge.gateways.contract import Dispute
from engine.storage.sharding import new_id
from engine.words import AccountRef, Answer, NotThere, Operation, settle_key


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute as it stands."""

    case_id: UUID
    #: what people quote
    number: str
    account: AccountRef
    #: what is disputed, as it was quoted
    reference: str
    operation_key: UUID | None
    payment_id: UUID | None
    reason: str
    state: CaseState
    owner: str | None
    opened_by: str
    opened_at: datetime
    deadline: datetime
    #: how often it was decided, and when last
    decisions: int
    decided_at: datetime | None
    outcome: Outcome | None
    outcome_reason: str | None
    #: of the operation that moved the money
    outcome_reference: str | None
    resolved_by: str | None
    resolved_at: datetime | None

    @property
    def by_bank(self) -> bool:
        """Whether it is about what the payer's bank asks back, and its payment gateway told of it."""
        return self.opened_by.startswith(BY_GATEWAY)

    @property
    def overdue(self) -> bool:
        """Whether its time is over and it is not resolved."""
        return self.state is not CaseState.RESOLVED and self.deadline < datetime.now(UTC)


class Disputes:
    """The cases of one operator."""

    def __init__(self, books: Books, post: Callable[[Operation], Awaitable[Answer]], trail: Trail) -> None:
        """``post`` is the one door."""
        self._books = books
        self._post = post
        self._trail = trail

    async def open(
        self,
        reference: str,
        reason: str,
        by: str,
        *,
        account: AccountRef | None = None,
        owner: str | None = None,
        days: int = DEADLINE_DAYS,
    ) -> Case:
        """Open a case about what was done under a reference, with what every layer knows of it.

        ``account`` finds what is no payment, too; a payment is also found by its own reference and id. Raises
        ``NoReceipt`` if there is no such thing, ``ValueError`` that names a bad field.
        """
        if not reason.strip():
            raise ValueError("reason: why it is disputed must be said")
        if not 1 <= days <= 365:
            raise ValueError("days: 1 to 365 are meant")
        disputed = await self._find(reference, account)
        return await self._keep(new_id(), disputed, reference, reason, by, owner=owner, days=days)

    async def told(
        self, account: AccountRef, payment_id: UUID, dispute: Dispute, *, reference: str, gateway: str, currency: str
    ) -> None:
        """Keep a case of what a payer's bank asks back, as a payment gateway tells of it, and its end; once each.

        The money is none of this: it was booked. ``reference``: the payment's.
        """
        case_id, by = case_of(payment_id, dispute.name), f"{BY_GATEWAY}{gateway}"
        try:
            async with self._books.billing.connect() as connection:
                case = await self._case(connection, str(case_id))
        except NotThere:
            about = Disputed(account, settle_key(payment_id), payment_id)
            reason = f"{dispute.name}: {major(dispute.amount, currency)} {currency}"
            case = await self._keep(case_id, about, reference, reason, by)
        if not dispute.ended or case.state is CaseState.RESOLVED:
            return
        outcome, why = (Outcome.REFUSED, "won") if dispute.won else (Outcome.CHARGEBACK_ACCEPTED, "lost")
        done = {"state": CaseState.RESOLVED, "outcome": outcome, "outcome_reason": why, "resolved_by": by}
        await self._finish(case, by, why, done | {"resolved_at": datetime.now(UTC)}, "dispute.resolve")

    async def find(self, number: str) -> tuple[Case, list[Evidence]]:
        """A case and its evidence. Raises ``LookupError``."""
        async with self._books.billing.connect() as connection:
            case = await self._case(connection, number)
            return case, await store.evidence_of(connection, case.case_id, case.account)

    async def list(
        self, *, resolved: bool = False, limit: int = 200, after: tuple[datetime, UUID] | None = None
    ) -> Sequence[Case]:
        """Cases that wait for a decision, the most urgent first; with ``resolved`` all.

        ``after`` is deadline and id of the last one of the page before.
        """
        async with self._books.billing.connect() as connection:
            rows = await store.cases(connection, resolved=resolved, limit=limit, after=after)
            return [_case(row) for row in rows]

    async def assign(self, number: str, owner: str, by: str, why: str = "") -> Case:
        """Give a case to somebody. Raises ``LookupError``, ``CaseRefused`` and ``ValueError``."""
        if not owner.strip():
            raise ValueError("owner: somebody must have the case")
        async with self._books.billing.begin() as connection:
            case = await self._case(connection, number, lock=True)
            if case.state is CaseState.RESOLVED:
                raise CaseRefused(f"the case was resolved: {case.outcome}", "case_resolved", outcome=case.outcome)
            await store.update_case(connection, case.case_id, case.account, owner=owner.strip())
            detail = {"case": case.number, "before": case.owner, "owner": owner.strip()}
            await self._trail.record(
                "dispute.assign", by=by, why=why, account=case.account, detail=detail, connection=connection
            )
            return await self._case(connection, number)

    async def resolve(self, number: str, outcome: Outcome, reason: str, by: str) -> tuple[Case, Answer | None]:
        """Decide a case; a refund or an accepted chargeback moves the money through the one door, once.

        The decision is written first, so a crash in between is finished by the same decision and by no other. If the
        door refuses, the case is open again and the answer says why. Raises ``LookupError`` and ``CaseRefused``.
        """
        if not reason.strip():
            raise ValueError("reason: why it is decided so must be said")
        case = await self._decide(number, outcome, reason, by)
        ordered = ordered_by(
            case.case_id,
            outcome,
            account=case.account,
            line_id=await self._line(case),
            payment_id=case.payment_id,
            operation_key=case.operation_key,
            reason=f"dispute {case.number}",
            by=by,
            decisions=case.decisions,
            decided_at=case.decided_at or case.opened_at,
            by_bank=case.by_bank,
        )
        answer = None if ordered is None else await self._post(ordered)
        if answer is not None and not answer.ok:
            undone = {"state": CaseState.OPEN, "outcome": None, "outcome_reason": None}
            return await self._finish(case, by, f"the door refused: {answer.code}", undone, "dispute.refused"), answer
        done = {
            "state": CaseState.RESOLVED,
            "outcome_reference": None if answer is None else answer.reference,
            "resolved_by": by,
            "resolved_at": datetime.now(UTC),
        }
        return await self._finish(case, by, reason, done, "dispute.resolve"), answer

    # -- parts --------------------------------------------------------------------------------------------------------

    async def _find(self, reference: str, account: AccountRef | None) -> Disputed:
        async with self._books.billing.connect() as connection:
            try:
                found = await find_operation(connection, reference, account)
            except NoReceipt:
                payments = await store.find_payments(connection, reference.strip(), account)
                if len(payments) != 1:
                    raise
                return payments[0]
            return Disputed(found.account, found.key, await store.payment_of(connection, found.account, found.key))

    async def _keep(
        self,
        case_id: UUID,
        disputed: Disputed,
        reference: str,
        reason: str,
        by: str,
        *,
        owner: str | None = None,
        days: int = DEADLINE_DAYS,
    ) -> Case:
        """A new case, with what every layer knows of what it is about."""
        evidence = await store.gather(self._books, disputed)
        now, number = datetime.now(UTC), number_of(case_id)
        owned = {"shard": disputed.account.shard, "account_id": disputed.account.account_id, "case_id": case_id}
        case = owned | {
            "number": number,
            "reference": reference.strip().upper(),
            "operation_key": disputed.operation_key,
            "payment_id": disputed.payment_id,
            "reason": reason.strip(),
            "state": CaseState.OPEN,
            "owner": owner,
            "opened_by": by,
            "opened_at": now,
            "deadline": now + timedelta(days=days),
        }
        rows = [
            owned | {"evidence_id": new_id(), "layer": one.layer, "body": one.body, "gathered_at": now}
            for one in evidence
        ]
        async with self._books.billing.begin() as connection:
            # Somebody who was told the same at the same time was faster.
            if await store.insert_case(connection, case, rows):
                detail = {"case": number, "reference": case["reference"], "owner": owner, "evidence": len(rows)}
                await self._trail.record(
                    "dispute.open", by=by, why=reason, account=disputed.account, detail=detail, connection=connection
                )
            return await self._case(connection, str(case_id))

    async def _line(self, case: Case) -> UUID | None:
        async with self._books.billing.connect() as connection:
            evidence = await store.evidence_of(connection, case.case_id, case.account)
        lines = (one.body.get("line_id") for one in evidence if one.layer in ("payment", "operation"))
        return next((UUID(line) for line in lines if line), None)

    async def _decide(self, number: str, outcome: Outcome, reason: str, by: str) -> Case:
        async with self._books.billing.begin() as connection:
            case = await self._case(connection, number, lock=True)
            check_decision(case.state, case.outcome, outcome, case.payment_id, by_bank=case.by_bank)
            if case.state is CaseState.OPEN:
                decided = {
                    "state": CaseState.RESOLVING,
                    "decisions": case.decisions + 1,
                    "decided_at": datetime.now(UTC),
                    "outcome": outcome,
                    "outcome_reason": reason.strip(),
                }
                await store.update_case(connection, case.case_id, case.account, **decided)
                detail = {"case": case.number, "outcome": outcome}
                await self._trail.record(
                    "dispute.decide", by=by, why=reason, account=case.account, detail=detail, connection=connection
                )
            return await self._case(connection, number)

    async def _finish(self, case: Case, by: str, why: str, values: dict[str, Any], what: str) -> Case:
        async with self._books.billing.begin() as connection:
            before = await self._case(connection, case.number, lock=True)
            # Somebody who finished the same decision at the same time was faster.
            if before.state is case.state:
                await store.update_case(connection, case.case_id, case.account, **values)
                detail = {"case": case.number, "reference": values.get("outcome_reference")}
                await self._trail.record(
                    what, by=by, why=why, account=case.account, detail=detail, connection=connection
                )
            return await self._case(connection, case.number)

    async def _case(self, connection: AsyncConnection, number: str, *, lock: bool = False) -> Case:
        row = await store.find_case(connection, number, lock=lock)
        if row is None:
            raise NotThere(f"no case {number}", "case_unknown")
        return _case(row)


def _case(row: RowMapping) -> Case:
    values = {name: row[name] for name in Case.__struct_fields__ if name not in ("account", "state", "outcome")}
    return Case(
        **values,
        account=AccountRef(row["shard"], row["account_id"]),
        state=CaseState(row["state"]),
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
    )
