"""What staff asks for: decided on by a second person where it must be, then done exactly once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.accounts.service import Accounts
from engine.audit.service import Trail
from engine.books.history import History
from engine.payments.service import Payments
from engine.staff import request_store as store, store as staff_store
from engine.staff.doing import Doing
from engine.staff.request_rules import check_wanted, check_why, is_enough_alone
from engine.words import (
    MAY_DECIDE,
    AccountRef,
    Answer,
    BadRequest,
    Code,
    Operation,
    RequestDraft,
    RequestKind,
    RequestState,
    StaffMember,
    StaffRequest,
    Unit,
)
from runtime.logs import mask
from settings import Operator

log = structlog.get_logger(__name__)

#: within which what one person moved alone is summed up
DAY = timedelta(hours=24)
#: whoever does an approved request has so long before another process takes it on
LEFT_BEHIND = timedelta(seconds=30)
#: requests in one page
MOST = 200


class Requests:
    """The requests of one installation's staff."""

    def __init__(
        self,
        database: AsyncEngine,
        operator: Operator,
        *,
        post: Callable[[Operation], Awaitable[Answer]],
        accounts: Accounts,
        payments: Payments,
        trail: Trail,
    ) -> None:
        """``post`` is the one door: what moves a balance goes through it, under a key derived from the request."""
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._rules = operator.staff
        self._history = History(database)
        self._payments = payments
        self._trail = trail
        self._doing = Doing(database, post=post, accounts=accounts, payments=payments)

    # -- asking and deciding ---

    async def ask(self, member: StaffMember, wanted: RequestDraft, *, why: str, once: UUID) -> StaffRequest:
        """Ask for something. It is done at once where one person is enough, and waits for a second one otherwise.

        ``once`` names the form that asked: sent twice it is one request. Raises ``BadRequest``.
        """
        check_wanted(wanted, member.role, why)
        wanted = await self._measured(wanted)
        request_id, now = uuid5(member.staff_id, f"request|{once.hex}"), datetime.now(UTC)
        async with self._database.begin() as connection:
            await store.lock_person(connection, member.staff_id)
            moved = 0
            if wanted.unit is not None:
                moved = await store.moved_alone(connection, member.staff_id, wanted.unit, now - DAY)
            alone = is_enough_alone(wanted, moved, self._rules)
            state = RequestState.APPROVED if alone else RequestState.PENDING
            new = await store.insert(
                connection,
                request_id=request_id,
                **wanted.line._asdict(),
                kind=wanted.kind.value,
                unit=None if wanted.unit is None else wanted.unit.value,
                amount=wanted.amount,
                subject=wanted.subject,
                status=None if wanted.status is None else wanted.status.value,
                asked_by=member.staff_id,
                why=mask(why.strip()),
                asked_at=now,
                alone=alone,
                state=state.value,
            )
            asked = await self._found(connection, request_id)
            if new:
                await self._record(connection, f"request.{wanted.kind}", asked, by=member.name, why=why)
        return await self._carry_out(asked) if asked.state is RequestState.APPROVED else asked

    async def decide(self, member: StaffMember, request_id: UUID, *, approve: bool, why: str) -> StaffRequest:
        """Approve what somebody else asked for, which does it, or refuse it. Raises ``BadRequest``.

        Who made or reset an account knows its password and secret, and may be who sits there: the two who ask and
        approve have their credentials neither from one another nor, at however many removes, from the same one.
        """
        if member.role not in MAY_DECIDE:
            raise BadRequest("role")
        check_why(why)
        now = datetime.now(UTC)
        async with self._database.begin() as connection:
            asked = await self._found(connection, request_id)
            if asked.asked_by == member.name:
                raise BadRequest("own")
            decided = await store.decide(
                connection,
                request_id,
                now - timedelta(hours=self._rules.open_hours),
                state=(RequestState.APPROVED if approve else RequestState.REFUSED).value,
                decided_by=member.staff_id,
                decided_why=mask(why.strip()),
                decided_at=now,
            )
            if not decided:
                raise BadRequest("decided")
            if approve:
                await self._check_hands(connection, asked, member)
            asked = await self._found(connection, request_id)
            what = "request.approve" if approve else "request.refuse"
            await self._record(connection, what, asked, by=member.name, why=why)
        return await self._carry_out(asked) if approve else asked

    async def _check_hands(self, connection: AsyncConnection, asked: StaffRequest, member: StaffMember) -> None:
        """Raise ``BadRequest`` where asker and decider may be one and the same person."""
        asker = await staff_store.named(connection, asked.asked_by)
        if asker is None or await staff_store.in_same_hands(connection, asker.staff_id, member.staff_id):
            raise BadRequest("hands")
        if asker.credentials_at > asked.asked_at:
            # Who held them when it was asked is known no more.
            raise BadRequest("anew")

    async def _measured(self, wanted: RequestDraft) -> RequestDraft:
        """What is given back, as an amount: the limit is for that."""
        if wanted.kind is RequestKind.PAYMENT and wanted.subject is not None:
            payment = await self._payments.payment(wanted.subject)
            if payment is None or payment.account != wanted.line.account:
                raise BadRequest("subject")
            return wanted._replace(unit=Unit.MONEY, amount=payment.amount)
        if wanted.kind in {RequestKind.REFUND, RequestKind.RECEIPT} and wanted.subject is not None:
            found = await self._history.answer_under(wanted.line.account, wanted.subject)
            if found is None or not found.ok:
                raise BadRequest("subject")
            if wanted.kind is RequestKind.REFUND:
                taken = [one for one in found.effects if one.after < one.before]
                if not taken:
                    raise BadRequest("subject")
                return wanted._replace(unit=taken[0].unit, amount=sum(one.before - one.after for one in taken))
        return wanted

    # -- looking ---

    async def request(self, request_id: UUID) -> StaffRequest | None:
        """One request."""
        async with self._reads.connect() as connection:
            return await store.find(connection, request_id)

    async def page(
        self,
        *,
        states: Sequence[RequestState] = (),
        account: AccountRef | None = None,
        after: tuple[datetime, UUID] | None = None,
        limit: int = 50,
    ) -> list[StaffRequest]:
        """Requests, the newest first; ``after`` is time and id of the last one of the page before."""
        async with self._reads.connect() as connection:
            return await store.page(connection, states, account, after, min(limit, MOST))

    # -- doing ---

    async def resume(self, limit: int = 50) -> int:
        """Do what was approved by a process that is gone, end what nobody decided on; returns how many that was."""
        now = datetime.now(UTC)
        async with self._database.begin() as connection:
            ended = await store.expire(connection, now - timedelta(hours=self._rules.open_hours), limit)
            for one in ended:
                await self._record(connection, "request.expired", one, by="schedule", why="nobody decided in time")
            left = await store.left_behind(connection, now - LEFT_BEHIND, limit)
        for request_id in left:
            asked = await self.request(request_id)
            try:
                if asked is not None:
                    await self._carry_out(asked)
            except Exception:
                # One that cannot be done now keeps no other one waiting; the next run tries it again.
                log.exception("staff_request_not_done", request=str(request_id))
        return len(ended) + len(left)

    async def _carry_out(self, asked: StaffRequest) -> StaffRequest:
        """Do it and keep what came of it. Whoever does it a second time finds the same: its key is the request's."""
        outcome = await self._doing.do(asked)
        done = outcome.code == Code.OK
        state = RequestState.DONE if done else RequestState.FAILED
        async with self._database.begin() as connection:
            first = await store.finish(
                connection,
                asked.request_id,
                state=state.value,
                outcome=outcome.code,
                reference=outcome.reference,
                done_at=datetime.now(UTC),
            )
            finished = await self._found(connection, asked.request_id)
            if first:
                by, why = asked.decided_by or asked.asked_by, asked.decided_why or asked.why
                await self._record(connection, f"request.{state}", finished, by=by, why=why)
        log.info("staff_request", request=str(asked.request_id), kind=asked.kind, state=finished.state)
        return finished

    # -- parts ---

    async def _found(self, connection: AsyncConnection, request_id: UUID) -> StaffRequest:
        found = await store.find(connection, request_id)
        if found is None:
            raise BadRequest("subject")
        return found

    async def _record(self, connection: AsyncConnection, what: str, asked: StaffRequest, *, by: str, why: str) -> None:
        detail: dict[str, Any] = {"request_id": str(asked.request_id), "kind": asked.kind.value, "alone": asked.alone}
        said = {"unit": asked.unit, "amount": asked.amount, "status": asked.status, "outcome": asked.outcome}
        detail |= {name: value for name, value in said.items() if value is not None}
        if asked.subject is not None:
            detail["subject"] = str(asked.subject)
        line = asked.line
        await self._trail.record(
            what, by=by, why=why, account=line.account, line_id=line.line_id, detail=detail, connection=connection
        )
