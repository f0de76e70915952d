"""TMF654: top-ups, corrections and gifts, each one operation through the one door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import msgspec
from aiohttp import web

from engine.api import Engine
from engine.words import Adjust, BadVoucherNumber, Code, Operation, Recharge, Transfer, Undo
from network.endpoints import Endpoint
from network.http import Problem, json_response, moment, read_json, wrong
from network.tmf import wire
from network.tmf.amounts import BAD, amount_of, minor, positive
from network.tmf.answers import FIELDS, IDEMPOTENCY, chosen
from network.tmf.asking import Asking, cancelled
from network.tmf.lines import ROOT, Owner, masked
from network.tmf.rendering import receiver_of

TOPUP, ADJUST, TRANSFER = "topupBalance", "adjustBalance", "transferBalance"

#: a clock of a client may be so far ahead of ours
AT_ONCE = timedelta(minutes=1)
#: nothing that is credited for a time lasts longer
LONGEST = timedelta(days=36_525)

ONE, UNDONE = "One of them", "Take a gift back while it is unspent"

_TOPUP: Any = msgspec.json.Decoder(wire.TopupBalanceCreate)
_ADJUST: Any = msgspec.json.Decoder(wire.AdjustBalanceCreate)
_TRANSFER: Any = msgspec.json.Decoder(wire.TransferBalanceCreate)


class Actions:
    """What may be done to a line's balance."""

    def __init__(self, engine: Engine, asking: Asking) -> None:
        self._engine = engine
        self._asking = asking
        self._lines = asking.lines

    def endpoints(self) -> tuple[Endpoint, ...]:
        """What is offered."""
        creates = (
            (TOPUP, self.topup, "Top up: by voucher, or of an amount", wire.TopupBalanceCreate),
            (ADJUST, self.adjust, "Correct a balance", wire.AdjustBalanceCreate),
            (TRANSFER, self.transfer, "Give from line to line", wire.TransferBalanceCreate),
        )
        refusals, action, gift = (400, 404, 409), wire.BalanceAction, f"{ROOT}/{TRANSFER}/{{id}}"
        return (
            *(
                Endpoint("POST", f"{ROOT}/{path}", "topup", handler, said, 201, action, body, (IDEMPOTENCY,), refusals)
                for path, handler, said, body in creates
            ),
            Endpoint("PATCH", gift, "topup", self.undo, UNDONE, 200, action, wire.StatusUpdate, (), refusals),
            *(
                Endpoint("GET", f"{ROOT}/{path}/{{id}}", "balances", self._get(path), ONE, 200, action, None, (FIELDS,))
                for path, *_ in creates
            ),
        )

    async def topup(self, request: web.Request) -> web.StreamResponse:
        """``POST /topupBalance``: redeem a voucher, or credit an amount."""
        asked: wire.TopupBalanceCreate = await read_json(request, _TOPUP, BAD)
        owner = await self._lines.named(asked)
        if asked.voucher is not None:
            return await self._asking.done(TOPUP, owner, self._recharge(request, asked.voucher, owner), asked)
        if asked.amount is None:
            raise wrong(BAD, "amount", "missing: an amount or a voucher is meant")
        amount, unit = amount_of(asked.amount, asked.usage_type, self._lines.currency)
        reason = asked.reason or "topupBalance"
        what = {"unit": unit, "amount": positive(amount), "reason": reason, "expires_at": _end(asked.valid_for)}
        operation = Adjust(**self._asking.common(request, TOPUP, owner) | what)
        return await self._asking.done(TOPUP, owner, operation, asked)

    def _recharge(self, request: web.Request, number: str, owner: Owner) -> Operation:
        try:
            voucher = self._engine.seal_voucher(number)
        except BadVoucherNumber as error:
            raise wrong(BAD, "voucher", f"not a voucher number: {error.args[0]}") from None
        return Recharge(**self._asking.common(request, TOPUP, owner), voucher=voucher)

    async def adjust(self, request: web.Request) -> web.StreamResponse:
        """``POST /adjustBalance``: credit, or deduct below zero."""
        asked: wire.AdjustBalanceCreate = await read_json(request, _ADJUST, BAD)
        owner = await self._lines.named(asked)
        amount, unit = amount_of(asked.amount, asked.usage_type, self._lines.currency)
        if amount == 0:
            raise wrong(BAD, "amount.amount", "0 changes nothing")
        reason = asked.reason or asked.description or "adjustBalance"
        what = {"unit": unit, "amount": amount, "reason": reason, "expires_at": _end(asked.valid_for)}
        operation = Adjust(**self._asking.common(request, ADJUST, owner) | what)
        return await self._asking.done(ADJUST, owner, operation, asked)

    async def transfer(self, request: web.Request) -> web.StreamResponse:
        """``POST /transferBalance``: give to another line; the fee is the one that was agreed to."""
        asked: wire.TransferBalanceCreate = await read_json(request, _TRANSFER, BAD)
        owner = await self._lines.named(asked)
        receiver = await self._lines.subscriber(asked.receiver_logical_resource.id, "receiverLogicalResource.id")
        amount, unit = amount_of(asked.amount, asked.usage_type, self._lines.currency)
        cost = asked.transfer_cost
        fee = (
            0
            if cost is None
            else minor(cost.value, cost.unit, self._lines.currency, "transferCost.value", "transferCost.unit")
        )
        if fee < 0:
            raise wrong(BAD, "transferCost.value", "at least 0 is meant")
        operation = Transfer(
            **self._asking.common(request, TRANSFER, owner),
            unit=unit,
            amount=positive(amount),
            fee=fee,
            receiver=receiver.account,
            receiver_line=receiver.line_id,
            sender_shown=masked(owner.msisdn or ""),
            receiver_shown=masked(receiver.msisdn),
        )
        return await self._asking.done(TRANSFER, owner, operation, asked)

    # -- cancelling ---------------------------------------------------------------------------------------------------

    async def undo(self, request: web.Request) -> web.StreamResponse:
        """``PATCH /transferBalance/{id}``: take a gift back, whole, with its fee."""
        await cancelled(request)
        owner, key = await self._lines.by_reference(request.match_info["id"], TRANSFER)
        made = await self._asking.stored(owner, key, TRANSFER)
        if not made.ok:
            raise Problem(409, "NOTHING_TO_UNDO", "this gift was never made")
        receiver = receiver_of(made)
        operation = Undo(
            **self._asking.said(request, TRANSFER, owner),
            key=_undo_of(key),
            undone_key=key,
            receiver=receiver.account,
            receiver_line=receiver.line_id,
        )
        await self._asking.post(operation)
        return json_response(self._asking.rendering.action(TRANSFER, owner, made, status="cancelled"))

    # -- reading ------------------------------------------------------------------------------------------------------

    def _get(self, path: str) -> Any:
        async def get(request: web.Request) -> web.StreamResponse:
            """One resource by its id, as far as it has come."""
            owner, key = await self._lines.by_reference(request.match_info["id"], path)
            answer = await self._asking.stored(owner, key, path)
            status = await self._status(path, owner, key)
            return json_response(chosen(request, self._asking.rendering.action(path, owner, answer, status=status)))

        return get

    async def _status(self, path: str, owner: Owner, key: UUID) -> str | None:
        if path != TRANSFER:
            return None
        undone = await self._engine.explain(owner.line.account, _undo_of(key))
        return None if undone is None or undone["code"] != Code.OK else "cancelled"


def _end(period: wire.TimePeriod | None) -> datetime | None:
    """When what is credited ends. Raises ``Problem`` for a time that is over, and for one that has yet to begin."""
    if period is None:
        return None
    begins, ends, now = period.start_date_time, period.end_date_time, datetime.now(UTC)
    if begins is not None and moment(begins, BAD, "validFor.startDateTime") > now + AT_ONCE:
        raise wrong(BAD, "validFor.startDateTime", "lies in the future: what is credited may be used at once")
    if ends is None:
        return None
    until = moment(ends, BAD, "validFor.endDateTime")
    if not now < until < now + LONGEST:
        raise wrong(BAD, "validFor.endDateTime", "lies in the past, or beyond a century")
    return until


def _undo_of(key: UUID) -> UUID:
    """The operation that takes a gift back."""
    return uuid5(key, "undo")
