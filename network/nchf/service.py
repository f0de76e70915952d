"""The resource ``chargingdata`` and its operations (TS 32.291 §6.1.3), each one operation through the one door."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec
from aiohttp import web

from engine.api import Engine
from engine.words import (
    Answer,
    BadNumber,
    Code,
    EngineUnavailable,
    LineRef,
    SessionAct,
    SessionRequest,
    UnknownLine,
    granted,
    session_key,
)
from network.http import CLIENT, Gate, Problem, json_response, read_json
from network.nchf import wire
from network.nchf.reference import Reference, read_reference
from network.nchf.translate import FAILED, information, reports
from runtime.keyring import Keyring

ROOT = "/nchf-convergedcharging/v3/chargingdata"
#: who speaks, in the engine's books
INTERFACE = "nchf"

_DECODER = msgspec.json.Decoder(wire.ChargingDataRequest)

#: refusals of the whole request → status and cause (TS 32.291 §6.1.7.3); all others are the request's own fault
_CAUSES = {
    Code.KEY_CONFLICT: (400, FAILED, "this sequence number came before with another content"),
    Code.KEY_EXPIRED: (400, FAILED, "invocationTimeStamp is too old"),
    Code.ACCOUNT_UNKNOWN: (404, "USER_UNKNOWN", "no such subscriber"),
    Code.LINE_TERMINATED: (403, "END_USER_REQUEST_REJECTED", "the line is closed"),
}


class ChargingData:
    """Create, update and release of charging sessions, and one-time events."""

    def __init__(self, engine: Engine, keyring: Keyring) -> None:
        """Sessions are named under the current master key."""
        self._engine = engine
        self._keyring = keyring

    def routes(self, gate: Gate) -> list[web.RouteDef]:
        """What is mounted, for clients with the right ``charging``."""
        return [
            web.post(ROOT, gate.open("charging", self.create)),
            web.post(f"{ROOT}/{{reference}}/update", gate.open("charging", self.update)),
            web.post(f"{ROOT}/{{reference}}/release", gate.open("charging", self.release)),
        ]

    async def create(self, request: web.Request) -> web.StreamResponse:
        """``POST /chargingdata``: 201 with a ``Location``; the same request again gets the same resource and answer."""
        asked = await read_json(request, _DECODER, FAILED)
        line = await self._line(asked)
        session = _session_of(asked)
        act = SessionAct.EVENT if asked.one_time_event else SessionAct.CREATE
        answer = await self._post(request, asked, Reference(line, session), act)
        headers = {"Location": f"{ROOT}/{Reference(line, session).text(self._keyring)}"}
        return json_response(_response(asked, answer), 201, headers)

    async def update(self, request: web.Request) -> web.StreamResponse:
        """``POST /chargingdata/{ref}/update``: 200 with the next quotas."""
        reference = self._reference(request)
        asked = await read_json(request, _DECODER, FAILED)
        answer = await self._post(request, asked, reference, SessionAct.UPDATE)
        return json_response(_response(asked, answer))

    async def release(self, request: web.Request) -> web.StreamResponse:
        """``POST /chargingdata/{ref}/release``: 204; nothing is held any more."""
        reference = self._reference(request)
        asked = await read_json(request, _DECODER, FAILED)
        await self._post(request, asked, reference, SessionAct.RELEASE)
        return web.Response(status=204)

    def _reference(self, request: web.Request) -> Reference:
        reference = read_reference(request.match_info["reference"], self._keyring)
        if reference is None:
            raise Problem(404, FAILED, "no such charging data resource")
        return reference

    async def _line(self, asked: wire.ChargingDataRequest) -> LineRef:
        if asked.subscriber_identifier is None:
            raise Problem(400, FAILED, "subscriberIdentifier is missing", {"subscriberIdentifier": "missing"})
        try:
            return await self._engine.line_of(asked.subscriber_identifier)
        except BadNumber as error:
            reason = f"{error.args[0]}: imsi-… or msisdn-… of this operator is meant"
            raise Problem(400, FAILED, f"subscriberIdentifier: {reason}", {"subscriberIdentifier": reason}) from None
        except UnknownLine:
            raise Problem(404, "USER_UNKNOWN", "no such subscriber") from None

    async def _post(
        self, request: web.Request, asked: wire.ChargingDataRequest, reference: Reference, act: SessionAct
    ) -> Answer:
        name = str(reference.session)
        if asked.invocation_time_stamp.tzinfo is None:
            raise Problem(400, FAILED, "invocationTimeStamp: no time zone", {"invocationTimeStamp": "no time zone"})
        operation = SessionRequest(
            account=reference.line.account,
            line_id=reference.line.line_id,
            key=session_key(INTERFACE, name, asked.invocation_sequence_number),
            asked_at=min(asked.invocation_time_stamp.astimezone(UTC), datetime.now(UTC)),
            source=f"{INTERFACE}:{request[CLIENT]}",
            act=act,
            interface=INTERFACE,
            session_id=name,
            sequence=asked.invocation_sequence_number,
            reports=reports(asked.multiple_unit_usage),
            node=asked.nf_consumer_identification.n_f_name or "",
            notify=asked.notify_uri or "",
        )
        try:
            answer = await self._engine.post(operation)
        except EngineUnavailable:
            raise Problem(503, "SYSTEM_FAILURE", "not decided: send the same request again") from None
        if not answer.ok:
            raise Problem(*_CAUSES.get(Code(answer.code), (403, "END_USER_REQUEST_DENIED", answer.code)))
        return answer


def _session_of(asked: wire.ChargingDataRequest) -> UUID:
    """The name of a new session: the same for a create that is sent again (TS 32.290 §5.4.1, retransmission)."""
    consumer, details = asked.nf_consumer_identification, asked.pdu_session_charging_information
    parts = (
        consumer.n_f_name or consumer.n_f_fqdn or consumer.node_functionality,
        asked.subscriber_identifier,
        asked.charging_id if details is None or details.charging_id is None else details.charging_id,
        asked.invocation_time_stamp.isoformat(),
        asked.invocation_sequence_number,
    )
    return uuid5(NAMESPACE_OID, "|".join(["nchf", *map(str, parts)]))


def _response(asked: wire.ChargingDataRequest, answer: Answer) -> wire.ChargingDataResponse:
    return wire.ChargingDataResponse(
        invocation_time_stamp=answer.booked_at,
        invocation_sequence_number=asked.invocation_sequence_number,
        multiple_unit_information=information(granted(answer)),
    )
