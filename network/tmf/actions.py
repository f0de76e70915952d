"""TMF654: top-ups, corrections, gifts and reservations, each one operation through the one door."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import msgspec
from aiohttp import web

from engine.api import Engine
from engine.words import (
    Adjust,
    Answer,
    BadVoucherNumber,
    GroupReport,
    Operation,
    Recharge,
    ResultCode,
    SessionAct,
    SessionRequest,
    Transfer,
    Undo,
    Unit,
    granted,
    session_key,
)
from network.endpoints import Endpoint
from network.http import CLIENT, Problem, json_response, read_json, wrong
from network.tmf import wire
from network.tmf.amounts import BAD, amount_of, minor, positive, unit_of, written
from network.tmf.answers import FIELDS, IDEMPOTENCY, chosen
from network.tmf.lines import NOT_FOUND, ROOT, Lines, Owner, masked
from network.tmf.refusals import refusal
from network.tmf.rendering import Rendering, receiver_of, reserved
from network.tmf.specifications import ordinary_group

#: who reserves, in the engine's books
INTERFACE = "tmf654"

TOPUP, ADJUST, TRANSFER, RESERVE = "topupBalance", "adjustBalance", "transferBalance", "reserveBalance"

_TOPUP: Any = msgspec.json.Decoder(wire.TopupBalanceCreate)
_ADJUST: Any = msgspec.json.Decoder(wire.AdjustBalanceCreate)
_TRANSFER: Any = msgspec.json.Decoder(wire.TransferBalanceCreate)
_RESERVE: Any = msgspec.json.Decoder(wire.ReserveBalanceCreate)
_UPDATE: Any = msgspec.json.Decoder(wire.StatusUpdate)


class Actions:
    """What may be done to a line's balance."""

    def __init__(self, engine: Engine, lines: Lines, rendering: Rendering) -> None:
        self._engine = engine
        self._lines = lines
        self._rendering = rendering

    def endpoints(self) -> tuple[Endpoint, ...]:
        """What is offered."""
        creates = (
            (TOPUP, self.topup, "Top up: by voucher, or of an amount", wire.TopupBalanceCreate),
            (ADJUST, self.adjust, "Correct a balance", wire.AdjustBalanceCreate),
            (TRANSFER, self.transfer, "Give from line to line", wire.TransferBalanceCreate),
            (RESERVE, self.reserve, "Hold data, voice or messages for a use", wire.ReserveBalanceCreate),
        )
        cancels = (
            (TRANSFER, self.undo, "Take a gift back while it is unspent"),
            (RESERVE, self.cancel, "Let go what is held"),
        )
        refusals = (400, 404, 409)
        action, status = wire.BalanceAction, wire.StatusUpdate
        return (
            *(
                Endpoint("POST", f"{ROOT}/{path}", "topup", handler, said, 201, action, body, (IDEMPOTENCY,), refusals)
                for path, handler, said, body in creates
            ),
            *(
                Endpoint("PATCH", f"{ROOT}/{path}/{{id}}", "topup", handler, said, 200, action, status, (), refusals)
                for path, handler, said in cancels
            ),
            *(
                Endpoint(
                    "GET",
                    f"{ROOT}/{path}/{{id}}",
                    "balances",
                    self._get(path),
                    "One of them",
                    200,
                    action,
                    None,
                    (FIELDS,),
                )
                for path, *_ in creates
            ),
        )

    async def topup(self, request: web.Request) -> web.StreamResponse:
        """``POST /topupBalance``: redeem a voucher, or credit an amount."""
        asked: wire.TopupBalanceCreate = await read_json(request, _TOPUP, BAD)
        owner = await self._lines.named(asked)
        if asked.voucher is not None:
            return await self._done(TOPUP, owner, self._recharge(request, asked.voucher, owner), asked)
        if asked.amount is None:
            raise wrong(BAD, "amount", "missing: an amount or a voucher is meant")
        amount, unit = amount_of(asked.amount, asked.usage_type, self._lines.currency)
        reason = asked.reason or "topupBalance"
        operation = Adjust(**self._common(request, TOPUP, owner), unit=unit, amount=positive(amount), reason=reason)
        return await self._done(TOPUP, owner, operation, asked)

    def _recharge(self, request: web.Request, number: str, owner: Owner) -> Operation:
        try:
            voucher = self._engine.seal_voucher(number)
        except BadVoucherNumber as error:
            raise wrong(BAD, "voucher", f"not a voucher number: {error.args[0]}") from None
        return Recharge(**self._common(request, TOPUP, owner), voucher=voucher)

    async def adjust(self, request: web.Request) -> web.StreamResponse:
        """``POST /adjustBalance``: credit, or deduct below zero."""
        asked: wire.AdjustBalanceCreate = await read_json(request, _ADJUST, BAD)
        owner = await self._lines.named(asked)
        amount, unit = amount_of(asked.amount, asked.usage_type, self._lines.currency)
        if amount == 0:
            raise wrong(BAD, "amount.amount", "0 changes nothing")
        reason = asked.reason or asked.description or "adjustBalance"
        operation = Adjust(**self._common(request, ADJUST, owner), unit=unit, amount=amount, reason=reason)
        return await self._done(ADJUST, owner, operation, asked)

    async def transfer(self, request: web.Request) -> web.StreamResponse:
        """``POST /transferBalance``: give to another line; the fee is the one that was agreed to."""
        asked: wire.TransferBalanceCreate = await read_json(request, _TRANSFER, BAD)
        owner = await self._lines.named(asked)
        receiver = await self._lines.subscriber(asked.receiver_logical_resource.id, "receiverLogicalResource.id")
        amount, unit = amount_of(asked.amount, asked.usage_type, self._lines.currency)
        cost = asked.transfer_cost
        fee = 0 if cost is None else minor(cost.value, cost.unit, self._lines.currency, "transferCost")
        if fee < 0:
            raise wrong(BAD, "transferCost.value", "at least 0 is meant")
        operation = Transfer(
            **self._common(request, TRANSFER, owner),
            unit=unit,
            amount=positive(amount),
            fee=fee,
            receiver=receiver.account,
            receiver_line=receiver.line_id,
            sender_shown=masked(owner.msisdn or ""),
            receiver_shown=masked(receiver.msisdn),
        )
        return await self._done(TRANSFER, owner, operation, asked)

    async def reserve(self, request: web.Request) -> web.StreamResponse:
        """``POST /reserveBalance``: hold units until they are cancelled or their time is over.

        What is held may be less than what was asked for: ``amount`` says how much it is.
        """
        asked: wire.ReserveBalanceCreate = await read_json(request, _RESERVE, BAD)
        owner = await self._lines.named(asked)
        unit, wanted = unit_of(asked.usage_type), 0
        if unit is Unit.MONEY:
            raise wrong(BAD, "usageType", "data, voice or sms is meant: money is held by what it pays for")
        if asked.amount is not None:
            wanted = positive(amount_of(asked.amount, asked.usage_type, self._lines.currency)[0])
        common = self._common(request, RESERVE, owner)
        report = GroupReport(rating_group=ordinary_group(self._engine.operator), unit=unit, requested=wanted)
        operation = _session(common, common["key"], SessionAct.CREATE, (report,))
        answer = await self._post(operation)
        if reserved(answer)[0] == 0:
            (group,) = granted(answer)
            if group.result is ResultCode.QUOTA_MANAGEMENT_NOT_APPLICABLE:
                raise Problem(409, group.result, "this use costs nothing: there is nothing to hold")
            raise Problem(409, group.result, "nothing is left that could be held")
        return self._created(RESERVE, owner, msgspec.structs.replace(answer, key=common["key"]), asked)

    # -- cancelling ---------------------------------------------------------------------------------------------------

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """``PATCH /reserveBalance/{id}``: let go what is held. Doing it twice does no harm."""
        await _cancelled(request)
        owner, key = await self._lines.by_reference(request.match_info["id"], RESERVE)
        made = await self._stored(owner, key, RESERVE)
        common = self._said(request, RESERVE, owner)
        await self._post(_session(common | {"key": key}, key, SessionAct.RELEASE, (), 1))
        return json_response(self._rendering.action(RESERVE, owner, made, status="cancelled"))

    async def undo(self, request: web.Request) -> web.StreamResponse:
        """``PATCH /transferBalance/{id}``: take a gift back, whole, with its fee."""
        await _cancelled(request)
        owner, key = await self._lines.by_reference(request.match_info["id"], TRANSFER)
        made = await self._stored(owner, key, TRANSFER)
        if not made.ok:
            raise Problem(409, "NOTHING_TO_UNDO", "this gift was never made")
        receiver = receiver_of(made)
        operation = Undo(
            **self._said(request, TRANSFER, owner),
            key=uuid5(key, "undo"),
            undone_key=key,
            receiver=receiver.account,
            receiver_line=receiver.line_id,
        )
        await self._post(operation)
        return json_response(self._rendering.action(TRANSFER, owner, made, status="cancelled"))

    # -- reading ------------------------------------------------------------------------------------------------------

    def _get(self, path: str) -> Any:
        async def get(request: web.Request) -> web.StreamResponse:
            """One resource by its id, as far as it has come."""
            owner, key = await self._lines.by_reference(request.match_info["id"], path)
            answer = await self._stored(owner, key, path)
            status = await self._status(path, key)
            return json_response(chosen(request, self._rendering.action(path, owner, answer, status=status)))

        return get

    async def _stored(self, owner: Owner, key: UUID, path: str) -> Answer:
        operation_key = session_key(INTERFACE, str(key), 0) if path == RESERVE else key
        found = await self._engine.explain(owner.line.account, operation_key)
        if found is None:
            raise Problem(404, NOT_FOUND, f"no such {path}")
        answer = msgspec.convert(found["answer"], Answer)
        return msgspec.structs.replace(answer, key=key)

    async def _status(self, path: str, key: UUID) -> str | None:
        if path != RESERVE:
            return None
        session = await self._engine.sessions.find_session(INTERFACE, str(key))
        held = session is not None and session.closed_at is None and session.rating_groups
        return None if held else "cancelled"

    # -- asking -------------------------------------------------------------------------------------------------------

    def _common(self, request: web.Request, path: str, owner: Owner) -> dict[str, Any]:
        return self._said(request, path, owner) | {"key": _key(request, path)}

    def _said(self, request: web.Request, path: str, owner: Owner) -> dict[str, Any]:
        source = f"{INTERFACE}.{path}:{request[CLIENT]}"
        line = owner.line
        return {"account": line.account, "line_id": line.line_id, "asked_at": datetime.now(UTC), "source": source}

    async def _post(self, operation: Operation) -> Answer:
        answer = await self._engine.post(operation)
        if not answer.ok:
            raise refusal(answer, self._known(operation, answer))
        return answer

    def _known(self, operation: Operation, answer: Answer) -> str:
        """What a refusal says beside its code: the fee that would be asked, what is missing, what is allowed."""
        corrected = operation.unit if isinstance(operation, Adjust) else Unit.MONEY
        units = {"fee": Unit.MONEY, "missing": corrected}
        said = {}
        for name in ("fee", "missing", "least", "most", "left", "cap", "locked_until"):
            if name in answer.details:
                known = answer.details[name]
                said[name] = written(known, units[name], self._lines.currency) if name in units else known
        return ", ".join(f"{name} {known}" for name, known in said.items())

    async def _done(self, path: str, owner: Owner, operation: Operation, asked: wire.ActionCreate) -> web.Response:
        return self._created(path, owner, await self._post(operation), asked)

    def _created(self, path: str, owner: Owner, answer: Answer, asked: wire.ActionCreate) -> web.Response:
        made = self._rendering.action(path, owner, answer, description=asked.description)
        return json_response(made, 201, {"Location": made.href})


def _session(
    common: dict[str, Any], key: UUID, act: SessionAct, reports: tuple[GroupReport, ...], sequence: int = 0
) -> SessionRequest:
    """A reservation is a session of ours; its name is the reservation's key."""
    return SessionRequest(
        **common | {"key": session_key(INTERFACE, str(key), sequence)},
        act=act,
        interface=INTERFACE,
        session_id=str(key),
        sequence=sequence,
        reports=reports,
    )


async def _cancelled(request: web.Request) -> None:
    asked: wire.StatusUpdate = await read_json(request, _UPDATE, BAD)
    if asked.status != "cancelled":
        raise wrong(BAD, "status", "only cancelled is meant")


def _key(request: web.Request, path: str) -> UUID:
    """The operation's key: the client's own for it. Without one every request is an intent of its own."""
    given = request.headers.get(IDEMPOTENCY.name)
    if given is None:
        return uuid4()
    if not 1 <= len(given) <= 255 or not given.isprintable():
        raise wrong(BAD, IDEMPOTENCY.name, "1 to 255 printable characters are meant")
    return uuid5(NAMESPACE_OID, "|".join((INTERFACE, path, request[CLIENT], given)))
