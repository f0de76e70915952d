"""TMF654: reservations, each a charging session of ours; its name is the reservation's key."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web

from engine.api import Engine
from engine.words import GroupReport, ResultCode, SessionAct, SessionRequest, Unit, granted, session_key
from network.endpoints import Endpoint
from network.http import Problem, json_response, read_json, wrong
from network.tmf import wire
from network.tmf.amounts import BAD, amount_of, positive, unit_of
from network.tmf.answers import FIELDS, IDEMPOTENCY, PAGING, chosen, sliced
from network.tmf.asking import INTERFACE, Asking, cancelled
from network.tmf.buckets import LINE
from network.tmf.lines import ROOT, Owner, line_of
from network.tmf.rendering import reserved
from network.tmf.specifications import ordinary_group

RESERVE = "reserveBalance"

_RESERVE: Any = msgspec.json.Decoder(wire.ReserveBalanceCreate)


class Reservations:
    """Data, voice and messages that are held for a use."""

    def __init__(self, engine: Engine, asking: Asking) -> None:
        self._engine = engine
        self._asking = asking
        self._lines = asking.lines

    def endpoints(self) -> tuple[Endpoint, ...]:
        """What is offered."""
        every, one, action = f"{ROOT}/{RESERVE}", f"{ROOT}/{RESERVE}/{{id}}", wire.BalanceAction
        made, status, refusals = wire.ReserveBalanceCreate, wire.StatusUpdate, (400, 404, 409)
        hold, kept = "Hold data, voice or messages for a use", "What is held for a line"
        query = (LINE, FIELDS, *PAGING[:2])
        return (
            Endpoint("POST", every, "topup", self.reserve, hold, 201, action, made, (IDEMPOTENCY,), refusals),
            Endpoint("PATCH", one, "topup", self.cancel, "Let go what is held", 200, action, status, (), refusals),
            Endpoint("GET", every, "balances", self.list, kept, 200, list[wire.BalanceAction], None, query),
            Endpoint("GET", one, "balances", self.get, "One of them", 200, action, None, (FIELDS,)),
        )

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
        common = self._asking.common(request, RESERVE, owner)
        report = GroupReport(rating_group=ordinary_group(self._engine.operator), unit=unit, requested=wanted)
        answer = await self._asking.post(_session(common, common["key"], SessionAct.CREATE, (report,)))
        if reserved(answer)[0] == 0:
            (group,) = granted(answer)
            if group.result is ResultCode.QUOTA_MANAGEMENT_NOT_APPLICABLE:
                raise Problem(409, group.result, "this use costs nothing: there is nothing to hold")
            raise Problem(409, group.result, "nothing is left that could be held")
        return self._asking.created(RESERVE, owner, msgspec.structs.replace(answer, key=common["key"]), asked)

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """``PATCH /reserveBalance/{id}``: let go what is held. Doing it twice does no harm."""
        await cancelled(request)
        owner, key = await self._lines.by_reference(request.match_info["id"], RESERVE)
        made = await self._made(owner, key, "cancelled")
        common = self._asking.said(request, RESERVE, owner)
        await self._asking.post(_session(common, key, SessionAct.RELEASE, (), 1))
        return json_response(made)

    async def list(self, request: web.Request) -> web.StreamResponse:
        """``GET /reserveBalance?logicalResource.id=``: those that still hold something, the oldest first."""
        subscriber = await self._lines.subscriber(request.query.get(LINE.name, ""), LINE.name)
        owner = Owner(line_of(subscriber), subscriber.msisdn)
        held = [
            self._made(owner, UUID(session.session_id), None)
            for session in await self._engine.sessions.open_sessions(subscriber.account)
            if session.interface == INTERFACE and session.line == owner.line and session.rating_groups
        ]
        return sliced(request, await asyncio.gather(*held))

    async def get(self, request: web.Request) -> web.StreamResponse:
        """``GET /reserveBalance/{id}``: ``cancelled`` once nothing is held any more."""
        owner, key = await self._lines.by_reference(request.match_info["id"], RESERVE)
        session = await self._engine.sessions.find_session(INTERFACE, str(key))
        held = session is not None and session.closed_at is None and session.rating_groups
        return json_response(chosen(request, await self._made(owner, key, None if held else "cancelled")))

    async def _made(self, owner: Owner, key: UUID, status: str | None) -> wire.BalanceAction:
        answer = await self._asking.stored(owner, key, RESERVE, session_key(INTERFACE, str(key), 0))
        return self._asking.rendering.action(RESERVE, owner, answer, status=status)


def _session(
    common: dict[str, Any], key: UUID, act: SessionAct, reports: tuple[GroupReport, ...], sequence: int = 0
) -> SessionRequest:
    return SessionRequest(
        **common | {"key": session_key(INTERFACE, str(key), sequence)},
        act=act,
        interface=INTERFACE,
        session_id=str(key),
        sequence=sequence,
        reports=reports,
    )
