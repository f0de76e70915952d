"""Doing what staff asked for and, where that was needed, somebody else approved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import uuid5

from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.rules import StatusRefused
from engine.accounts.service import Accounts
from engine.books.history import History
from engine.notices.outbox import write_message
from engine.payments.service import Payments
from engine.staff import request_store as store
from engine.words import Adjust, Answer, Code, Operation, Refund, RequestKind, StaffRequest, UnknownLine


class Outcome(NamedTuple):
    """What became of an approved request: a code, and the reference of the operation that it became."""

    code: str
    reference: str | None = None


class Doing:
    """The ways in which approved requests are done. Each may be done again: it is done once, or does no harm."""

    def __init__(
        self,
        database: AsyncEngine,
        *,
        post: Callable[[Operation], Awaitable[Answer]],
        accounts: Accounts,
        payments: Payments,
    ) -> None:
        self._database = database
        self._post = post
        self._history = History(database)
        self._accounts = accounts
        self._payments = payments
        self._ways: dict[RequestKind, Callable[[StaffRequest], Awaitable[Outcome]]] = {
            RequestKind.REFUND: self._refund,
            RequestKind.PAYMENT: self._refund_payment,
            RequestKind.ADJUST: self._adjust,
            RequestKind.STATUS: self._set_status,
            RequestKind.UNLOCK: self._unlock,
            RequestKind.PIN: self._clear_pin,
            RequestKind.RECEIPT: self._send_receipt,
        }

    async def do(self, asked: StaffRequest) -> Outcome:
        """Do one; what moves a balance goes through the one door, under a key derived from the request."""
        return await self._ways[asked.kind](asked)

    async def _adjust(self, asked: StaffRequest) -> Outcome:
        unit, amount = asked.unit, asked.amount
        assert unit is not None and amount is not None  # noqa: S101, PT018 - its check says so
        return _outcome(await self._post(Adjust(**_common(asked), unit=unit, amount=amount, reason=asked.why)))

    async def _refund(self, asked: StaffRequest) -> Outcome:
        assert asked.subject is not None  # noqa: S101 - what has none is not asked for
        return _outcome(await self._post(Refund(**_common(asked), refunded_key=asked.subject, reason=asked.why)))

    async def _refund_payment(self, asked: StaffRequest) -> Outcome:
        assert asked.subject is not None  # noqa: S101 - what has none is not asked for
        common = _common(asked)
        answer = await self._payments.refund(asked.subject, asked.why, common["source"], key=common["key"])
        return Outcome("unknown") if answer is None else _outcome(answer)

    async def _set_status(self, asked: StaffRequest) -> Outcome:
        assert asked.status is not None  # noqa: S101 - what has none is not asked for
        try:
            by = f"console:{asked.asked_by}"
            await self._accounts.set_status(asked.line, asked.status, reason=asked.why, by=by)
        except StatusRefused:
            return Outcome("status_refused")
        except UnknownLine:
            return Outcome("unknown")
        return Outcome(Code.OK)

    async def _unlock(self, asked: StaffRequest) -> Outcome:
        return await _quietly(self._accounts.unlock(asked.line))

    async def _clear_pin(self, asked: StaffRequest) -> Outcome:
        return await _quietly(self._accounts.clear_pin(asked.line))

    async def _send_receipt(self, asked: StaffRequest) -> Outcome:
        assert asked.subject is not None  # noqa: S101 - what has none is not asked for
        account = asked.line.account
        answer = await self._history.answer_under(account, asked.subject)
        async with self._database.begin() as connection:
            sent = None
            if answer is not None:
                sent = await store.receipt_of(connection, account, asked.subject, answer.booked_at)
            if sent is None:
                return Outcome("nothing_to_send")
            message_id = uuid5(asked.request_id, "receipt")
            await write_message(connection, account, asked.line.line_id, message_id, topic=sent.topic, body=sent.body)
        return Outcome(Code.OK)


def _common(asked: StaffRequest) -> dict[str, Any]:
    return {
        "account": asked.line.account,
        "line_id": asked.line.line_id,
        "key": uuid5(asked.request_id, "operation"),
        "asked_at": asked.decided_at or asked.asked_at,
        "source": f"console:{asked.asked_by}",
    }


def _outcome(answer: Answer) -> Outcome:
    return Outcome(answer.code, answer.reference)


async def _quietly(work: Awaitable[None]) -> Outcome:
    try:
        await work
    except UnknownLine:
        return Outcome("unknown")
    return Outcome(Code.OK)
